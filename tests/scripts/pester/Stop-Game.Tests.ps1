#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.0' }

BeforeDiscovery {
    $Modes = 'periodic', 'event-driven', 'process', 'sunshine'
}

BeforeAll {
    . "$PSScriptRoot/GameServer.ps1"
}

AfterAll {
    Remove-StandInServer
}

Describe 'Stop-Game' {
    BeforeEach { New-GameServer }

    It 'ends the game and leaves nothing of the session, in mode <_>' -ForEach $Modes {
        $launch = Start-TestGame $_ @{ PlayerAddress = $Player }
        Add-StandInFile $LogFile 'a log'
        $answer = Stop-TestGame $launch
        $answer.changed | Should -BeTrue
        $answer.warnings | Should -BeNullOrEmpty
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'leaves the game''s own config and what else is in its folder' {
        Add-StandInFile 'C:\GamingAnywhere\config\neverball.s-2.conf'
        $null = Stop-TestGame (Start-TestGame periodic)
        Get-StandInFile | Should -Be $Config, 'C:\GamingAnywhere\config\neverball.s-2.conf'
    }

    It 'is safe to repeat, in mode <_>' -ForEach $Modes {
        $launch = Start-TestGame $_
        $null = Stop-TestGame $launch
        $again = Stop-TestGame $launch
        $again.how | Should -Be 'already_gone'
        $again.ended | Should -BeNullOrEmpty
        $again.changed | Should -BeFalse
    }

    It 'has nothing to do for a session that it does not know' {
        $answer = Stop-TestGame $null @{ SessionId = 'never-heard-of' }
        $answer.how | Should -Be 'already_gone'
        $answer.changed | Should -BeFalse
    }

    It 'cleans up after a game that ended by itself' {
        $launch = Start-TestGame process @{ PlayerAddress = $Player }
        Stop-StandInProcess $launch.pid
        $answer = Stop-TestGame $launch
        $answer.how | Should -Be 'already_gone'
        $answer.changed | Should -BeTrue
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'uses the server''s own record where no identity is given, in mode <_>' -ForEach 'periodic', 'event-driven', 'process' {
        $launch = Start-TestGame $_
        $answer = Stop-TestGame
        $answer.ended.pid | Should -Contain $launch.pid
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'leaves other sessions as they are' {
        $first = Start-TestGame process @{ PlayerAddress = $Player }
        $second = Start-TestGame process @{ SessionId = 's-2'; PlayerAddress = $Player; StreamPort = 8556 }
        $null = Stop-TestGame $first
        Get-Trace | Should -Be 'task s-2', 'rule Orchestrator-s-2-TCP', 'file C:\ProgramData\Orchestrator\s-2.json', 'process neverball.exe'
        (Get-StandInProcess neverball.exe).ProcessId | Should -Be $second.pid
    }

    It 'leaves the same game of another session alone where no record could be kept' {
        Add-StandInFile 'C:\ProgramData\Orchestrator' 'a file where the folder should be'
        $first = Start-TestGame
        $second = Start-TestGame process @{ SessionId = 's-2' }
        (Stop-TestGame $first).ended.pid | Should -Be $first.pid
        (Get-StandInProcess neverball.exe).ProcessId | Should -Be $second.pid
    }

    It 'leaves the same game of somebody else alone' {
        $other = Add-StandInProcess $Game
        $null = Stop-TestGame (Start-TestGame)
        (Get-StandInProcess neverball.exe).ProcessId | Should -Be $other
    }
}

Describe 'How Stop-Game ends a game' {
    BeforeEach { New-GameServer }

    It 'asks its window to close by a task of the player''s, and that is graceful' {
        Add-StandInProgram $Game @{ closes = $true }
        $launch = Start-TestGame
        $answer = Stop-TestGame $launch @{ GraceSec = 10 }
        $answer.how | Should -Be 'graceful'
        $answer.ended.pid | Should -Be $launch.pid
        $answer.ended.image | Should -Be $Game
        Get-Call 'Stop-Process*' | Should -BeNullOrEmpty
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'does not wait for the rest of the grace once the window has closed' {
        Add-StandInProgram $Game @{ closes = $true }
        $launch = Start-TestGame
        $before = Get-UtcNowStandIn
        $null = Stop-TestGame $launch @{ GraceSec = 60 }
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeLessThan 3
    }

    It 'ends it by force where the window did not close in time' {
        $launch = Start-TestGame
        $before = Get-UtcNowStandIn
        (Stop-TestGame $launch @{ GraceSec = 4 }).how | Should -Be 'forced'
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeGreaterOrEqual 4
        Get-StandInProcess neverball.exe | Should -BeNullOrEmpty
    }

    It 'asks the window with the rights that the game has' {
        $launch = Start-TestGame process @{ Elevated = $true }
        Deny-StandInCommand Unregister-ScheduledTask
        $null = Stop-TestGame $launch @{ GraceSec = 1 }
        $task = Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1.close
        $task.Actions.Execute | Should -Be 'taskkill.exe'
        $task.Actions.Arguments | Should -Be "/PID $($launch.pid)"
        $task.Principal.UserId | Should -Be 'GAME01\player'
        $task.Principal.RunLevel | Should -Be 'Highest'
    }

    It 'asks nobody where there is no grace' {
        $launch = Start-TestGame
        (Stop-TestGame $launch @{ GraceSec = 0 }).how | Should -Be 'forced'
        @(Get-Call Register-ScheduledTask) | Should -HaveCount 1
    }

    It 'ends it by force, with a warning, where the window cannot be asked' {
        $launch = Start-TestGame
        Deny-StandInCommand Register-ScheduledTask
        $answer = Stop-TestGame $launch @{ GraceSec = 5 }
        $answer.how | Should -Be 'forced'
        $answer.warnings | Should -BeLike '*could not be asked to close*'
        Get-StandInProcess neverball.exe | Should -BeNullOrEmpty
    }

    It 'ends children before their parents' {
        Add-StandInProgram 'C:\Games\helper.exe'
        Add-StandInProgram $Game @{ child = 'C:\Games\helper.exe' }
        $launch = Start-TestGame
        $null = Stop-TestGame $launch
        Get-Call 'Stop-Process*' | Should -Be "Stop-Process $($launch.companions.pid)", "Stop-Process $($launch.pid)"
    }

    It 'ends what the game started since, too' {
        $launch = Start-TestGame
        Step-StandInClock 30
        $late = Add-StandInProcess 'C:\Games\helper.exe' -Parent $launch.pid -AgeSec 1
        (Stop-TestGame $launch).ended.pid | Should -Contain $late
    }

    It 'ends what a dead launcher had started' {
        Add-StandInProgram 'C:\Games\helper.exe'
        Add-StandInProgram $Game @{ child = 'C:\Games\helper.exe' }
        $launch = Start-TestGame
        Stop-StandInProcess $launch.pid
        (Stop-TestGame $launch).ended.pid | Should -Be $launch.companions.pid
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'does not take for a child what was there before its parent, whose PID was another''s then' {
        $launch = Start-TestGame
        $older = Add-StandInProcess 'C:\Windows\notepad.exe' -Parent $launch.pid -AgeSec 600
        $null = Stop-TestGame $launch
        (Get-StandInProcess notepad.exe).ProcessId | Should -Be $older
    }

    It 'does not take for a child what began long after its parent was seen last' {
        $launch = Start-TestGame
        Stop-StandInProcess $launch.pid
        Step-StandInClock 600
        $stranger = Add-StandInProcess 'C:\Windows\notepad.exe' -Parent $launch.pid -AgeSec 5
        $null = Stop-TestGame $launch
        (Get-StandInProcess notepad.exe).ProcessId | Should -Be $stranger
    }

    It 'ends a GamingAnywhere server before its game, and asks only the game to close' {
        Add-StandInProgram $Game @{ closes = $true }
        $launch = Start-TestGame periodic
        $answer = Stop-TestGame $launch @{ GraceSec = 10 }
        $answer.ended.pid | Should -Be $launch.pid, $launch.companions.pid
        Get-Call 'Stop-Process*' | Should -Be "Stop-Process $($launch.pid)"
        $answer.how | Should -Be 'graceful'
    }

    It 'fails and keeps the session''s task where a process survives' {
        Add-StandInProgram $Game @{ immortal = $true }
        $launch = Start-TestGame
        { Stop-TestGame $launch } | Should -Throw "*neverball.exe (PID $($launch.pid))*" -ErrorId stop_failed
        Get-Trace | Should -Contain 'task s-1'
    }

    It 'tells what it could not remove, and removes the rest' {
        $launch = Start-TestGame process @{ PlayerAddress = $Player }
        Deny-StandInCommand Remove-NetFirewallRule
        $answer = Stop-TestGame $launch
        $answer.warnings | Should -BeLike '*rule Orchestrator-s-1-TCP could not be removed*'
        Get-Trace | Should -Be 'rule Orchestrator-s-1-TCP'
    }
}

Describe 'The process that Stop-Game ends' {
    BeforeEach { New-GameServer }

    It 'must be the one that was launched: <Because>' -ForEach @(
        @{ Because = 'created at another time'; With = @{ CreatedAt = '2001-01-01T00:00:00Z' } }
        @{ Because = 'another image'; With = @{ Image = 'C:\Windows\notepad.exe' } }
        @{ Because = 'another image of that name'; With = @{ Image = 'C:\Other\neverball.exe' } }
        @{ Because = 'a PID of Windows'; With = @{ ProcessId = 1200 } }
    ) {
        $launch = Start-TestGame
        { Stop-TestGame $launch $With } | Should -Throw -ErrorId identity_mismatch
        Get-Call 'Stop-Process*' | Should -BeNullOrEmpty
        Get-Trace | Should -Be 'task s-1', "file $RecordFile", 'process neverball.exe'
        (Get-TestLaunch).state | Should -Be 'running'
    }

    It 'is another''s by now where its PID was used again (<Because>): that one stays, the session''s traces go' -ForEach @(
        @{ Because = 'another program'; With = @{ Path = 'C:\Windows\notepad.exe'; LaterSec = 5 }; Name = 'notepad.exe' }
        @{ Because = 'the same program, a second later'; With = @{ LaterSec = 1 }; Name = 'neverball.exe' }
    ) {
        $launch = Start-TestGame process @{ PlayerAddress = $Player }
        Step-StandInClock 10
        Switch-StandInProcess $launch.pid @With
        { Stop-TestGame $launch } | Should -Throw -ErrorId identity_mismatch
        Get-Call 'Stop-Process*' | Should -BeNullOrEmpty
        Get-StandInProcess $Name | Should -HaveCount 1
        Get-Trace | Where-Object { $_ -notlike 'process*' } | Should -BeNullOrEmpty
    }

    It 'is not one that has its PID by now where only the record tells: <Because>' -ForEach @(
        @{ Because = 'another program'; With = @{ Path = 'C:\Windows\notepad.exe'; LaterSec = 5 }; Name = 'notepad.exe' }
        @{ Because = 'the same program, a second later'; With = @{ LaterSec = 1 }; Name = 'neverball.exe' }
    ) {
        $launch = Start-TestGame
        Step-StandInClock 10
        Switch-StandInProcess $launch.pid @With
        (Stop-TestGame).how | Should -Be 'already_gone'
        Get-StandInProcess $Name | Should -HaveCount 1
    }

    It 'is known by a time that lost its last digits and by its name in any case' {
        $launch = Start-TestGame
        $told = $launch.created_at.ToString('yyyy-MM-ddTHH:mm:ss.ff') + 'Z'
        (Stop-TestGame $launch @{ CreatedAt = $told; Image = 'NEVERBALL.EXE' }).ended.pid | Should -Be $launch.pid
    }

    It 'is known by a time in WMI''s own words' {
        $launch = Start-TestGame
        $told = $launch.created_at.AddHours(8).ToString('yyyyMMddHHmmss.ffffff') + '+480'
        (Stop-TestGame $launch @{ CreatedAt = $told }).ended.pid | Should -Be $launch.pid
    }

    It 'is not known by a time that is 60 ms off' {
        $launch = Start-TestGame
        { Stop-TestGame $launch @{ CreatedAt = $launch.created_at.AddMilliseconds(60) } } | Should -Throw -ErrorId identity_mismatch
    }

    It 'needs PID, creation time and image together: <Name> is missing' -ForEach @(
        @{ Name = 'ProcessId'; With = @{ ProcessId = 0 } }
        @{ Name = 'CreatedAt'; With = @{ CreatedAt = '' } }
        @{ Name = 'Image'; With = @{ Image = '' } }
    ) {
        $launch = Start-TestGame
        { Stop-TestGame $launch $With } | Should -Throw -ErrorId bad_parameter
        (Get-TestLaunch).state | Should -Be 'running'
    }

    It 'needs a time that is one' {
        $launch = Start-TestGame
        { Stop-TestGame $launch @{ CreatedAt = 'yesterday evening' } } | Should -Throw -ErrorId bad_parameter
    }

    It 'is ended though the server knows nothing of the session, where the identity is right' {
        $launch = Start-TestGame
        Remove-Item -LiteralPath $RecordFile
        Unregister-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1 -Confirm:$false
        (Stop-TestGame $launch).ended.pid | Should -Be $launch.pid
        Get-Trace | Should -BeNullOrEmpty
    }
}

Describe 'Stop-Game -WhatIf' {
    BeforeEach { New-GameServer }

    It 'ends and removes nothing, in mode <_>' -ForEach $Modes {
        $launch = Start-TestGame $_ @{ PlayerAddress = $Player }
        $traces = Get-Trace
        (Stop-TestGame $launch @{ WhatIf = $true }).changed | Should -BeFalse
        Get-Trace | Should -Be $traces
    }

    It 'keeps the traces of a session whose PID is another''s by now' {
        $launch = Start-TestGame
        Switch-StandInProcess $launch.pid -LaterSec 1
        $traces = Get-Trace
        { Stop-TestGame $launch @{ WhatIf = $true } } | Should -Throw -ErrorId identity_mismatch
        Get-Trace | Should -Be $traces
    }
}
