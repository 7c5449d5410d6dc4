#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.0' }

BeforeAll {
    . "$PSScriptRoot/GameServer.ps1"
}

AfterAll {
    Remove-StandInServer
}

Describe 'Get-Launch' {
    BeforeEach { New-GameServer }

    It 'tells nothing where nothing was started' {
        Get-TestLaunch | Should -BeNullOrEmpty
    }

    It 'tells a running session with its launch and companions, in mode <_>' -ForEach 'periodic', 'event-driven', 'process', 'sunshine' {
        $launch = Start-TestGame $_
        $found = Get-TestLaunch
        $found.session_id | Should -Be 's-1'
        $found.state | Should -Be 'running'
        $found.pid | Should -Be $launch.pid
        $found.created_at | Should -Be $launch.created_at
        $found.image | Should -Be $launch.image
        $found.companions.pid | Should -Be $launch.companions.pid
    }

    It 'tells all sessions, or the one that was asked for' {
        $null = Start-TestGame
        $null = Start-TestGame process @{ SessionId = 's-2' }
        (Get-TestLaunch).session_id | Should -Be 's-1', 's-2'
        (Get-TestLaunch @{ SessionId = 's-2' }).session_id | Should -Be 's-2'
        Get-TestLaunch @{ SessionId = 's-3' } | Should -BeNullOrEmpty
    }

    It 'calls a session starting whose process is not there yet' {
        $launch = Start-TestGame
        Edit-Record @{ phase = 'starting'; launch = $null; known = @(); found_at = $null }
        Switch-StandInProcess $launch.pid -LaterSec 60
        (Get-TestLaunch).state | Should -Be 'starting'
        (Get-TestLaunch).pid | Should -BeNullOrEmpty
    }

    It 'calls a session starting whose port is not open yet' {
        $launch = Start-TestGame event-driven
        Edit-Record @{ phase = 'starting' }
        (Get-StandInState).listeners = @()
        (Get-TestLaunch).state | Should -Be 'starting'
        (Get-TestLaunch).pid | Should -Be $launch.pid
    }

    It 'calls a session gone whose process ended' {
        $launch = Start-TestGame
        Stop-StandInProcess $launch.pid
        (Get-TestLaunch).state | Should -Be 'gone'
    }

    It 'calls a session gone that never got its process in time' {
        $launch = Start-TestGame
        Edit-Record @{ phase = 'starting'; launch = $null; known = @(); found_at = $null }
        Stop-StandInProcess $launch.pid
        Step-StandInClock 30
        (Get-TestLaunch).state | Should -Be 'gone'
    }

    It 'calls a session gone whose PID is another process''s by now: <Because>' -ForEach @(
        @{ Because = 'another program'; With = @{ Path = 'C:\Windows\notepad.exe'; LaterSec = 5 } }
        @{ Because = 'the same program, a second later'; With = @{ LaterSec = 1 } }
    ) {
        $launch = Start-TestGame
        Step-StandInClock 10
        Switch-StandInProcess $launch.pid @With
        (Get-TestLaunch).state | Should -Be 'gone'
    }

    It 'finds a survivor by its task alone, in mode <_>' -ForEach 'periodic', 'event-driven', 'process' {
        $launch = Start-TestGame $_
        Remove-Item -LiteralPath $RecordFile
        $found = Get-TestLaunch
        $found.state | Should -Be 'running'
        $found.pid | Should -Be $launch.pid
    }

    It 'finds the game of a periodic session whose server''s task is gone' {
        $launch = Start-TestGame periodic
        Remove-Item -LiteralPath $RecordFile
        Unregister-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1 -Confirm:$false
        $found = Get-TestLaunch
        $found.session_id | Should -Be 's-1'
        $found.pid | Should -Be $launch.companions.pid
    }

    It 'takes no other task of ours for a session' {
        $null = Start-TestGame
        foreach ($name in 's-1.close', 'check.0123') {
            $null = Register-ScheduledTask -TaskName $name -TaskPath '\Orchestrator\' -Action (New-ScheduledTaskAction -Execute cmd.exe) -Principal (New-ScheduledTaskPrincipal -UserId x) -Settings (New-ScheduledTaskSettingsSet)
        }
        (Get-TestLaunch).session_id | Should -Be 's-1'
    }

    It 'changes nothing' {
        $null = Start-TestGame periodic
        $traces = Get-Trace
        $record = Get-Content -LiteralPath $RecordFile -Raw
        (Invoke-RuntimeScript Get-Launch).changed | Should -BeFalse
        Get-Trace | Should -Be $traces
        Get-Content -LiteralPath $RecordFile -Raw | Should -BeExactly $record
    }

    It 'fails where Windows does not let it see tasks, for that is not the same as none' {
        Deny-StandInCommand Get-ScheduledTask
        { Get-TestLaunch } | Should -Throw -ErrorId access_denied
    }

    It 'fails where the task scheduler does not run, for that is not the same as none' {
        $null = Start-TestGame
        Deny-StandInCommand Schedule
        { Get-TestLaunch } | Should -Throw -ErrorId task_refused
    }
}

Describe 'Remove-Launch' {
    BeforeEach { New-GameServer }

    It 'ends an orphan and leaves nothing of it, in mode <_>' -ForEach 'periodic', 'event-driven', 'process', 'sunshine' {
        $launch = Start-TestGame $_ @{ PlayerAddress = $Player }
        $answer = Stop-TestGame -Script Remove-Launch
        $answer.changed | Should -BeTrue
        if ($_ -ne 'sunshine') { $answer.ended.pid | Should -Contain $launch.pid }
        Get-Trace | Should -BeNullOrEmpty
        Get-TestLaunch | Should -BeNullOrEmpty
    }

    It 'ends an orphan that only its task tells of, in mode <_>' -ForEach 'periodic', 'event-driven', 'process' {
        $launch = Start-TestGame $_ @{ PlayerAddress = $Player }
        Remove-Item -LiteralPath $RecordFile
        (Stop-TestGame -Script Remove-Launch).ended.pid | Should -Contain $launch.pid
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'leaves the same game of another session alone where its own record is lost' {
        $first = Start-TestGame
        $second = Start-TestGame process @{ SessionId = 's-2' }
        Remove-Item -LiteralPath $RecordFile
        (Stop-TestGame -Script Remove-Launch).ended.pid | Should -Be $first.pid
        (Get-StandInProcess neverball.exe).ProcessId | Should -Be $second.pid
    }

    It 'ends a game whose server''s task is gone with the record' {
        $launch = Start-TestGame periodic
        Stop-StandInProcess $launch.pid
        Unregister-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1 -Confirm:$false
        (Stop-TestGame -Script Remove-Launch).ended.pid | Should -Be $launch.companions.pid
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'asks the window to close first' {
        Add-StandInProgram $Game @{ closes = $true }
        $null = Start-TestGame
        (Stop-TestGame -Script Remove-Launch -With @{ GraceSec = 10 }).how | Should -Be 'graceful'
        Get-Call 'Stop-Process*' | Should -BeNullOrEmpty
    }

    It 'removes what a dead one left' {
        $launch = Start-TestGame process @{ PlayerAddress = $Player }
        Stop-StandInProcess $launch.pid
        $answer = Stop-TestGame -Script Remove-Launch
        $answer.how | Should -Be 'already_gone'
        $answer.changed | Should -BeTrue
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'leaves a process alone that merely has the PID by now: <Because>' -ForEach @(
        @{ Because = 'another program'; With = @{ Path = 'C:\Windows\notepad.exe'; LaterSec = 5 }; Name = 'notepad.exe' }
        @{ Because = 'the same program, a second later'; With = @{ LaterSec = 1 }; Name = 'neverball.exe' }
    ) {
        $launch = Start-TestGame
        Step-StandInClock 10
        Switch-StandInProcess $launch.pid @With
        (Stop-TestGame -Script Remove-Launch).how | Should -Be 'already_gone'
        Get-StandInProcess $Name | Should -HaveCount 1
        Get-Trace | Where-Object { $_ -notlike 'process*' } | Should -BeNullOrEmpty
    }

    It 'is safe to repeat, and for what was never there' {
        $null = Start-TestGame
        $null = Stop-TestGame -Script Remove-Launch
        (Stop-TestGame -Script Remove-Launch).changed | Should -BeFalse
        (Stop-TestGame -Script Remove-Launch -With @{ SessionId = 's-9' }).changed | Should -BeFalse
    }

    It 'does nothing with -WhatIf' {
        $null = Start-TestGame process @{ PlayerAddress = $Player }
        $traces = Get-Trace
        (Stop-TestGame -Script Remove-Launch -With @{ WhatIf = $true }).changed | Should -BeFalse
        Get-Trace | Should -Be $traces
    }
}
