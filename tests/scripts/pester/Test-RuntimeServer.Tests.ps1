#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.0' }

BeforeAll {
    . "$PSScriptRoot/GameServer.ps1"

    function Get-Program {
        # The beginning of an executable for a machine: 0x14c is 32-bit, 0x8664 64-bit.
        param([int] $Machine)
        $bytes = [byte[]]::new(70)
        $bytes[0], $bytes[1], $bytes[60], $bytes[64], $bytes[65] = 77, 90, 64, 80, 69
        [BitConverter]::GetBytes([uint16]$Machine).CopyTo($bytes, 68)
        , $bytes
    }

    function Get-Check {
        # The items of a check by their names, of a server that lacks nothing but
        # what a test takes from it.
        param([hashtable] $With = @{})
        $order = @{ BrokerTime = (Get-UtcNowStandIn).ToString('o'); GaDirectory = $Bin; ConfigDirectory = 'C:\GamingAnywhere\config' }
        foreach ($name in $With.Keys) { $order[$name] = $With[$name] }
        $script:Answer = Invoke-RuntimeScript Test-RuntimeServer $order
        $items = @{}
        foreach ($item in $script:Answer.items) { $items[$item.name] = $item }
        $items
    }
}

AfterAll {
    Remove-StandInServer
}

Describe 'Test-RuntimeServer' {
    BeforeEach {
        New-GameServer
        Add-StandInFile "$Bin\ga-server-periodic.exe" -Bytes (Get-Program 0x14c)
        Add-StandInFile "$Bin\ga-server-event-driven.exe" -Bytes (Get-Program 0x8664)
        $quotas = (Get-StandInSetup).winrm['winrm/config/winrs']
        foreach ($name in 'MaxShellsPerUser', 'MaxProcessesPerShell', 'MaxMemoryPerShellMB') { $quotas[$name] = '2000' }
    }

    It 'finds nothing to say against a server that is ready' {
        $items = Get-Check
        $items.Values | Where-Object { $_.verdict -ne 'ok' } | ForEach-Object { $_.name } | Should -BeNullOrEmpty
        $Answer.verdict | Should -Be 'ok'
        $Answer.computer | Should -Be 'GAME01'
        $Answer.account | Should -Be 'GAME01\broker'
        $Answer.changed | Should -BeFalse
    }

    It 'names a remedy for every item that is not well, and for no other' {
        Set-StandInDesktop Nobody
        (Get-StandInSetup).elevated = $false
        (Get-StandInSetup).classes = @{}
        $items = (Get-Check @{ BrokerTime = '2001-01-01T00:00:00Z'; GaDirectory = 'C:\None' }).Values
        $items | Where-Object { ($_.verdict -eq 'ok') -ne ($_.remedy -eq '') } | Should -BeNullOrEmpty
        $Answer.verdict | Should -Be 'problem'
    }

    It 'says <Verdict> of <Item>: <Because>' -ForEach @(
        @{ Item = 'desktop'; Verdict = 'problem'; Because = 'nobody is logged on'; Given = { Set-StandInDesktop Nobody } }
        @{ Item = 'desktop'; Verdict = 'problem'; Because = 'it is locked'; Given = { Set-StandInDesktop Locked } }
        @{ Item = 'desktop'; Verdict = 'problem'; Because = 'it is disconnected'; Given = { Set-StandInDesktop Disconnected } }
        @{ Item = 'tasks'; Verdict = 'not_measured'; Because = 'nobody is there to register one for'; Given = { Set-StandInDesktop Nobody } }
        @{ Item = 'tasks'; Verdict = 'problem'; Because = 'the account may not register any'; Given = { Deny-StandInCommand Register-ScheduledTask } }
        @{ Item = 'processes'; Verdict = 'problem'; Because = 'WMI is closed to the account'; Given = { Deny-StandInCommand 'Get-CimInstance Win32_Process' } }
        @{ Item = 'rights'; Verdict = 'problem'; Because = 'no administrator'; Given = { (Get-StandInSetup).elevated = $false } }
        @{ Item = 'uac_filter'; Verdict = 'problem'; Because = 'the token is filtered'; Given = { (Get-StandInSetup).elevated = $false } }
        @{ Item = 'uac_filter'; Verdict = 'ok'; Because = 'the filter is off'; Given = { (Get-StandInSetup).elevated = $false; (Get-StandInSetup).registry.LocalAccountTokenFilterPolicy = 1 } }
        @{ Item = 'windows'; Verdict = 'problem'; Because = '2008 R2 has no cmdlets for tasks'; Given = { (Get-StandInSetup).classes.Win32_OperatingSystem[0].BuildNumber = '7601' } }
        @{ Item = 'windows'; Verdict = 'warning'; Because = 'the newest restricts NTLM'; Given = { (Get-StandInSetup).classes.Win32_OperatingSystem[0].BuildNumber = '26100' } }
        @{ Item = 'ntlm'; Verdict = 'warning'; Because = 'policy denies it'; Given = { (Get-StandInSetup).registry.RestrictReceivingNTLMTraffic = 2 } }
        @{ Item = 'MaxShellsPerUser'; Verdict = 'warning'; Because = 'few at once'; Given = { (Get-StandInSetup).winrm['winrm/config/winrs'].MaxShellsPerUser = '10' } }
        @{ Item = 'MaxShellsPerUser'; Verdict = 'problem'; Because = 'too few'; Given = { (Get-StandInSetup).winrm['winrm/config/winrs'].MaxShellsPerUser = '2' } }
        @{ Item = 'quotas'; Verdict = 'not_measured'; Because = 'only administrators may look'; Given = { Deny-StandInCommand Get-WSManInstance } }
        @{ Item = 'AllowUnencrypted'; Verdict = 'warning'; Because = 'passwords could go in clear'; Given = { (Get-StandInSetup).winrm['winrm/config/service'].AllowUnencrypted = 'true' } }
        @{ Item = 'gpu_counters'; Verdict = 'warning'; Because = 'an old Windows has none'; Given = { (Get-StandInSetup).classes.Remove('Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine') } }
        @{ Item = 'cpu_counters'; Verdict = 'problem'; Because = 'the total is missing'; Given = { (Get-StandInSetup).classes.Win32_PerfFormattedData_PerfOS_Processor = @() } }
        @{ Item = 'disk'; Verdict = 'warning'; Because = 'little room'; Given = { (Get-StandInSetup).classes.Win32_LogicalDisk[0].FreeSpace = 3GB } }
        @{ Item = 'disk'; Verdict = 'problem'; Because = 'no room'; Given = { (Get-StandInSetup).classes.Win32_LogicalDisk[0].FreeSpace = 100MB } }
        @{ Item = 'records'; Verdict = 'problem'; Because = 'their folder cannot be written'; Given = { Add-StandInFile 'C:\ProgramData\Orchestrator' 'a file' } }
        @{ Item = 'ports'; Verdict = 'warning'; Because = 'somebody listens in the range'; Given = { Open-StandInPort 8600 -ProcessId 900 } }
        @{ Item = 'ports'; Verdict = 'ok'; Because = 'who listens is outside the range'; Given = { Open-StandInPort 9000 -ProcessId 900 } }
        @{ Item = 'ports'; Verdict = 'ok'; Because = 'who listens is a session of ours'; Given = { $null = Start-TestGame periodic } }
        @{ Item = 'gaminganywhere'; Verdict = 'problem'; Because = 'a program is missing'; Given = { Remove-Item -LiteralPath "$Bin\ga-server-periodic.exe" } }
        @{ Item = 'gaminganywhere'; Verdict = 'warning'; Because = 'a program is none'; Given = { Add-StandInFile "$Bin\ga-server-periodic.exe" 'not a program' } }
        @{ Item = 'configs'; Verdict = 'problem'; Because = 'their folder is missing'; Given = { Remove-Item -LiteralPath 'C:\GamingAnywhere\config' -Recurse } }
    ) {
        & $Given
        (Get-Check)[$Item].verdict | Should -Be $Verdict
    }

    It 'says <Verdict> of a clock that is <Seconds> s off' -ForEach @(
        @{ Seconds = 30; Verdict = 'ok' }
        @{ Seconds = -90; Verdict = 'warning' }
        @{ Seconds = 400; Verdict = 'problem' }
    ) {
        $told = (Get-UtcNowStandIn).AddSeconds($Seconds).ToString('o')
        (Get-Check @{ BrokerTime = $told }).clock.verdict | Should -Be $Verdict
    }

    It 'tells the architecture of GamingAnywhere''s programs, which a hooked game must share' {
        (Get-Check).gaminganywhere.found | Should -Be 'periodic: 32-bit; event-driven: 64-bit'
    }

    It 'looks for the programs of the modes in use only' {
        Remove-Item -LiteralPath "$Bin\ga-server-periodic.exe"
        (Get-Check @{ Modes = @('event-driven') }).gaminganywhere.verdict | Should -Be 'ok'
        (Get-Check @{ Modes = @('process') }).Keys | Should -Not -Contain 'gaminganywhere'
    }

    It 'tells who listens in the range' {
        Open-StandInPort 8600 -ProcessId 900
        (Get-Check).ports.found | Should -Be 'taken: 8600 by svchost.exe'
    }

    It 'leaves nothing of what it tried' {
        $null = Get-Check
        @(Get-Call Register-ScheduledTask) | Should -HaveCount 1
        Get-Call Start-ScheduledTask | Should -BeNullOrEmpty
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'tries nothing with -WhatIf' {
        (Get-Check @{ WhatIf = $true }).tasks.verdict | Should -Be 'not_measured'
        Get-Call Register-ScheduledTask | Should -BeNullOrEmpty
        Test-Path -LiteralPath 'C:\ProgramData\Orchestrator' | Should -BeFalse
    }
}
