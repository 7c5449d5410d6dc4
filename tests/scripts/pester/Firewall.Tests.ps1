#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.0' }

BeforeAll {
    . "$PSScriptRoot/GameServer.ps1"

    function Get-OpenTo {
        # What a rule lets in, in words; empty where there is no such rule.
        param([string] $Name)
        $rule = Get-NetFirewallRule -Name $Name -ErrorAction SilentlyContinue
        if ($null -eq $rule) { return }
        $port = $rule | Get-NetFirewallPortFilter
        $address = $rule | Get-NetFirewallAddressFilter
        "$($rule.Direction) $($rule.Action) $($port.Protocol) $($port.LocalPort -join ',') from $($address.RemoteAddress -join ',')"
    }
}

AfterAll {
    Remove-StandInServer
}

Describe 'The firewall rules of a session' {
    BeforeEach { New-GameServer }

    It 'let only the player reach the ports of mode <Mode>' -ForEach @(
        @{ Mode = 'periodic'; Tcp = '8554'; Udp = '6970-7069,8555' }
        @{ Mode = 'event-driven'; Tcp = '8554'; Udp = '6970-7069,8555' }
        @{ Mode = 'process'; Tcp = '8554'; Udp = $null }
        @{ Mode = 'sunshine'; Tcp = '47984,47989,48010'; Udp = '47998,47999,48000,48002' }
    ) {
        $null = Start-TestGame $Mode @{ PlayerAddress = $Player }
        Get-OpenTo Orchestrator-s-1-TCP | Should -Be "Inbound Allow TCP $Tcp from $Player"
        if ($Udp) { Get-OpenTo Orchestrator-s-1-UDP | Should -Be "Inbound Allow UDP $Udp from $Player" }
        else { Get-OpenTo Orchestrator-s-1-UDP | Should -BeNullOrEmpty }
    }

    It 'are in the group Orchestrator, where an administrator finds them' {
        $null = Start-TestGame process @{ PlayerAddress = $Player }
        (Get-NetFirewallRule -Name Orchestrator-s-1-TCP).Group | Should -Be 'Orchestrator'
    }

    It 'take an address of IPv6, and one with spaces around it: <_>' -ForEach '2001:db8::7', ' 198.51.100.7 ' {
        $null = Start-TestGame process @{ PlayerAddress = $_ }
        Get-OpenTo Orchestrator-s-1-TCP | Should -BeLike "* from $($_.Trim())"
    }

    It 'open the control port for TCP where the config says so, in an included file too: <_>' -ForEach @(
        'tcp # as in the lab', 'tcp // as in the lab', "tcp`ncontrol-proto = [udp]", "tcp`n// control-proto = udp"
    ) {
        Add-StandInFile 'C:\GamingAnywhere\config\common\server.conf' "control-proto = $_`n"
        Add-StandInFile $Config "include = common/server.conf`ngame-exe = $Game`n"
        $null = Start-TestGame periodic @{ PlayerAddress = $Player }
        Get-OpenTo Orchestrator-s-1-TCP | Should -BeLike '*TCP 8554,8555 from*'
        Get-OpenTo Orchestrator-s-1-UDP | Should -BeLike '*UDP 6970-7069 from*'
    }

    It 'are there before the game is' {
        $null = Start-TestGame process @{ PlayerAddress = $Player }
        $calls = @((Get-StandInState).calls)
        $calls.IndexOf('New-NetFirewallRule') | Should -BeLessThan $calls.IndexOf('Start-ScheduledTask')
    }

    It 'are not made where no address is given' {
        $null = Start-TestGame periodic
        (Get-StandInState).rules.Keys | Should -BeNullOrEmpty
    }

    It 'take the place of those that a start before left behind' {
        $null = New-NetFirewallRule -Name Orchestrator-s-1-TCP -DisplayName x -Protocol TCP -LocalPort 1 -RemoteAddress Any
        $null = Start-TestGame process @{ PlayerAddress = $Player }
        Get-OpenTo Orchestrator-s-1-TCP | Should -Be "Inbound Allow TCP 8554 from $Player"
    }

    It 'go with the session, in mode <_>' -ForEach 'periodic', 'event-driven', 'process', 'sunshine' {
        $launch = Start-TestGame $_ @{ PlayerAddress = $Player }
        $null = Stop-TestGame $launch
        (Get-StandInState).rules.Keys | Should -BeNullOrEmpty
    }

    It 'go with a failed start' {
        Add-StandInProgram $Game @{ lives = 0 }
        { Start-TestGame process @{ PlayerAddress = $Player } } | Should -Throw
        (Get-StandInState).rules.Keys | Should -BeNullOrEmpty
    }

    It 'go where the server has lost the session''s record' {
        $null = Start-TestGame process @{ PlayerAddress = $Player }
        Remove-Item -LiteralPath $RecordFile
        $null = Stop-TestGame
        (Get-StandInState).rules.Keys | Should -BeNullOrEmpty
    }

    It 'are the only ones that go: others'' stay' {
        $null = New-NetFirewallRule -Name Orchestrator-s-10-TCP -DisplayName x
        $null = New-NetFirewallRule -Name RemoteDesktop -DisplayName x
        $null = Stop-TestGame (Start-TestGame process @{ PlayerAddress = $Player })
        (Get-StandInState).rules.Keys | Sort-Object | Should -Be 'Orchestrator-s-10-TCP', 'RemoteDesktop'
    }
}
