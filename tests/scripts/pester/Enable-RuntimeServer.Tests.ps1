#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.0' }

BeforeAll {
    . "$PSScriptRoot/GameServer.ps1"

    $Enable = [System.IO.Path]::GetFullPath("$PSScriptRoot/../../../scripts/powershell/Enable-RuntimeServer.ps1")
    $EnableRecord = 'C:\ProgramData\Orchestrator\enable.json'
    $RuleName = 'Orchestrator-WinRM-HTTPS'
    $Secret = [securestring]::new()
    'pass'.ToCharArray() | ForEach-Object { $Secret.AppendChar($_) }
    $Usual = @{ BrokerAddress = '192.0.2.5', '198.51.100.0/24'; Password = $Secret }

    function Enable-TestServer {
        # Runs the script as an administrator would, at the server itself.
        param([hashtable] $With = $Usual)
        & $Enable @With
    }

    function Get-Setup {
        # The part of the server that an administrator sets up, as one text.
        $setup = Get-StandInSetup
        $all = @{ rules = (Get-StandInState).rules; files = @(Get-StandInFile) }
        foreach ($name in $setup.Keys) { if ($name -notin 'calls', 'denied') { $all[$name] = $setup[$name] } }
        foreach ($name in @($all.Keys | Sort-Object)) { "${name}: $(ConvertTo-SortedJson $all[$name])" }
    }

    function ConvertTo-SortedJson {
        param([object] $Value)
        if ($Value -is [System.Collections.IDictionary]) {
            $sorted = [ordered]@{}
            foreach ($key in @($Value.Keys | Sort-Object)) { $sorted[$key] = ConvertTo-SortedJson $Value[$key] }
            return (ConvertTo-Json -InputObject $sorted -Depth 8 -Compress)
        }
        ConvertTo-Json -InputObject $Value -Depth 8 -Compress
    }

    function Get-Result {
        # The result of one step in a report.
        param([object[]] $Report, [string] $Step, [string] $Item = '*')
        ($Report | Where-Object { $_.Step -eq $Step -and $_.Item -like $Item }).Result
    }
}

AfterAll {
    Remove-StandInServer
}

Describe 'Enable-RuntimeServer' {
    BeforeEach { New-StandInServer }

    It 'has WinRM start with Windows, and run' {
        $null = Enable-TestServer
        $service = Get-Service -Name WinRM
        "$($service.StartType) $($service.Status)" | Should -Be 'Automatic Running'
    }

    It 'listens by HTTPS on 5986 with a certificate that it makes' {
        $report = Enable-TestServer
        $listener = Get-WSManInstance -ResourceURI winrm/config/Listener -Enumerate
        "$($listener.Transport) $($listener.Port)" | Should -Be 'HTTPS 5986'
        $listener.CertificateThumbprint | Should -Be (Get-ChildItem -Path 'Cert:\LocalMachine\My').Thumbprint
        Get-Result $report certificate | Should -Be 'changed'
    }

    It 'opens that port to the broker''s addresses and to nobody else' {
        $null = Enable-TestServer
        $rule = Get-NetFirewallRule -Name $RuleName
        "$($rule.Direction) $($rule.Action)" | Should -Be 'Inbound Allow'
        ($rule | Get-NetFirewallPortFilter).LocalPort | Should -Be '5986'
        (Get-StandInState).rules[$RuleName].address | Should -Be '192.0.2.5', '198.51.100.0/24'
    }

    It 'gives the account what starting games needs' {
        $null = Enable-TestServer
        (Get-LocalUser -Name orchestrator).Enabled | Should -BeTrue
        foreach ($group in 'S-1-5-32-544', 'S-1-5-32-558', 'S-1-5-32-580') {
            (Get-LocalGroupMember -SID $group).Name | Should -Contain 'GAME01\orchestrator'
        }
        (Get-ItemProperty -LiteralPath 'HKLM:\x' -Name LocalAccountTokenFilterPolicy).LocalAccountTokenFilterPolicy | Should -Be 1
        (Get-StandInSetup).sddl | Should -BeLike '*(A;;CCWP;;;S-1-5-21-1-2-3-1001)'
    }

    It 'gives an account that only polls no rights of an administrator' {
        $null = Enable-TestServer ($Usual + @{ Access = 'Poll' })
        (Get-LocalGroupMember -SID S-1-5-32-544).Name | Should -Be 'GAME01\Administrator'
        { Get-ItemProperty -LiteralPath 'HKLM:\x' -Name LocalAccountTokenFilterPolicy } | Should -Throw
        (Get-LocalGroupMember -SID S-1-5-32-580).Name | Should -Be 'GAME01\orchestrator'
    }

    It 'raises quotas that are too low and lowers none' {
        $null = Enable-TestServer
        $shell = Get-WSManInstance -ResourceURI winrm/config/winrs
        $shell.MaxShellsPerUser | Should -Be '30'
        $shell.MaxMemoryPerShellMB | Should -Be '2048'
    }

    It 'keeps a listener that is there, with its port and certificate' {
        (Get-StandInSetup).listeners = @(@{ Address = '*'; Transport = 'HTTPS'; Port = '443'; CertificateThumbprint = 'CD' * 20 })
        $null = Enable-TestServer
        (Get-WSManInstance -ResourceURI winrm/config/Listener -Enumerate).CertificateThumbprint | Should -Be ('CD' * 20)
        (Get-NetFirewallRule -Name $RuleName | Get-NetFirewallPortFilter).LocalPort | Should -Be '443'
        Get-ChildItem -Path 'Cert:\LocalMachine\My' | Should -BeNullOrEmpty
    }

    It 'fails at the listener alone where the certificate that was named is not there' {
        $report = Enable-TestServer ($Usual + @{ CertificateThumbprint = 'EF' * 20 })
        Get-Result $report listener | Should -Be 'failed'
        Get-Result $report quota MaxShellsPerUser | Should -Be 'changed'
        Get-WSManInstance -ResourceURI winrm/config/Listener -Enumerate | Should -BeNullOrEmpty
    }

    It 'asks for a password where the account has to be made' {
        $report = Enable-TestServer @{ BrokerAddress = '192.0.2.5' }
        Get-Result $report account | Should -Be 'failed'
        Get-LocalUser -Name orchestrator -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
    }

    It 'tells what Windows denied and goes on with the rest' {
        Deny-StandInCommand New-LocalUser, New-ItemProperty
        (Get-StandInSetup).users = @(@{ Name = 'orchestrator'; SID = 'S-1-5-21-9'; Enabled = $true })
        $report = Enable-TestServer
        Get-Result $report registry | Should -Be 'failed'
        Get-Result $report firewall | Should -Be 'changed'
    }

    It 'ends with the lines for the inventory' {
        $last = (Enable-TestServer)[-1]
        $last.Step | Should -Be 'inventory'
        $last.After | Should -Match '^[0-9a-f]{64}$'
        $lines = $last.Note -split "`n"
        $lines | Should -Contain 'ansible_port: 5986'
        $lines | Should -Contain "orchestrator_certificate_fingerprint: $($last.After)"
    }

    It 'never writes the password into its report or its record' {
        $report = Enable-TestServer
        ConvertTo-Json -InputObject $report -Depth 4 | Should -Not -Match '"pass"'
        Get-Content -LiteralPath $EnableRecord -Raw | Should -Not -Match '"pass"'
    }

    It 'changes nothing when it is run again' {
        $null = Enable-TestServer
        $before = Get-Setup
        (Enable-TestServer).Result | Sort-Object -Unique | Should -Be 'unchanged'
        Get-Setup | Should -Be $before
    }

    It 'refuses anybody but an administrator' {
        (Get-StandInSetup).elevated = $false
        { Enable-TestServer } | Should -Throw '*administrator*'
    }
}

Describe 'Enable-RuntimeServer -WhatIf' {
    BeforeEach { New-StandInServer }

    It 'says what it would change, and changes nothing' {
        $before = Get-Setup
        $report = Enable-TestServer ($Usual + @{ WhatIf = $true })
        Get-Setup | Should -Be $before
        $report.Result | Should -Not -Contain 'changed'
        Get-Result $report account | Should -Be 'skipped'
        Get-Result $report quota MaxShellsPerUser | Should -Be 'skipped'
    }

    It 'takes nothing back with -Undo' {
        $null = Enable-TestServer
        $before = Get-Setup
        (Enable-TestServer @{ Undo = $true; WhatIf = $true }).Result | Sort-Object -Unique | Should -Be 'skipped'
        Get-Setup | Should -Be $before
    }
}

Describe 'Enable-RuntimeServer -Undo' {
    BeforeEach { New-StandInServer }

    It 'puts back exactly what was before, and leaves no record' {
        $before = Get-Setup
        $null = Enable-TestServer
        Get-Setup | Should -Not -Be $before
        (Enable-TestServer @{ Undo = $true }).Result | Sort-Object -Unique | Should -Be 'changed'
        Get-Setup | Should -Be $before
        Test-Path -LiteralPath $EnableRecord | Should -BeFalse
    }

    It 'puts back what was before the first of several runs' {
        $before = Get-Setup
        $null = Enable-TestServer
        $null = Enable-TestServer @{ BrokerAddress = '203.0.113.1'; Password = $Secret }
        $null = Enable-TestServer @{ Undo = $true }
        Get-Setup | Should -Be $before
    }

    It 'keeps an account and memberships that were there before' {
        $setup = Get-StandInSetup
        $setup.users = @(@{ Name = 'orchestrator'; SID = 'S-1-5-21-9'; Enabled = $true })
        $setup.members['S-1-5-32-580'] = @('orchestrator')
        $null = Enable-TestServer
        $null = Enable-TestServer @{ Undo = $true }
        (Get-LocalUser -Name orchestrator).Enabled | Should -BeTrue
        (Get-LocalGroupMember -SID S-1-5-32-580).Name | Should -Be 'GAME01\orchestrator'
        (Get-LocalGroupMember -SID S-1-5-32-544).Name | Should -Be 'GAME01\Administrator'
    }

    It 'leaves what somebody changed since, and keeps it in the record' {
        $null = Enable-TestServer
        $null = Set-WSManInstance -ResourceURI winrm/config/winrs -ValueSet @{ MaxShellsPerUser = '40' }
        $report = Enable-TestServer @{ Undo = $true }
        Get-Result $report quota MaxShellsPerUser | Should -Be 'skipped'
        (Get-WSManInstance -ResourceURI winrm/config/winrs).MaxShellsPerUser | Should -Be '40'
        Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
        Get-Content -LiteralPath $EnableRecord -Raw | Should -Match 'MaxShellsPerUser'
    }

    It 'goes on where one thing cannot be put back, and can be run again' {
        $before = Get-Setup
        $null = Enable-TestServer
        Deny-StandInCommand Remove-LocalUser
        Get-Result (Enable-TestServer @{ Undo = $true }) account | Should -Be 'failed'
        (Get-StandInSetup).denied = @()
        $null = Enable-TestServer @{ Undo = $true }
        Get-Setup | Should -Be $before
    }

    It 'has nothing to do where nothing was changed' {
        (Enable-TestServer @{ Undo = $true }).Result | Should -Be 'unchanged'
    }
}
