#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.0' }

BeforeAll {
    . "$PSScriptRoot/GameServer.ps1"

    function Get-App {
        (Get-StandInState).sunshine.apps | ForEach-Object { [pscustomobject]$_ }
    }
}

AfterAll {
    Remove-StandInServer
}

Describe 'Start-Game in mode sunshine' {
    BeforeEach { New-GameServer }

    It 'answers Sunshine''s own process, for Sunshine starts the game when a client asks' {
        $launch = Start-TestGame sunshine
        $launch.pid | Should -Be (Get-StandInProcess sunshine.exe).ProcessId
        Get-StandInProcess neverball.exe | Should -BeNullOrEmpty
    }

    It 'registers the game as an app that carries the session''s id' {
        Add-StandInFile 'C:\Games\readme.txt'
        $null = Start-TestGame sunshine @{ Arguments = @('a b', 'c"d'); WorkingDirectory = 'C:\Games'; Elevated = $true }
        $app = Get-App | Where-Object { $_.name -eq 'neverball' }
        Split-CommandLine $app.cmd | Should -BeExactly @($Game, 'a b', 'c"d')
        $app.'working-dir' | Should -Be 'C:\Games'
        $app.elevated | Should -BeTrue
        $app.'orchestrator-session' | Should -Be 's-1'
    }

    It 'uses an app that is there already as it is, and leaves it at the end' {
        $launch = Start-TestGame sunshine @{ AppName = 'Desktop' }
        Get-App | Should -HaveCount 1
        $null = Stop-TestGame $launch
        (Get-App).name | Should -Be 'Desktop'
    }

    It 'marks the session by a task that is never run' {
        $null = Start-TestGame sunshine
        (Get-ScheduledTask -TaskPath '\Orchestrator\').TaskName | Should -Be 's-1'
        Get-Call Start-ScheduledTask | Should -BeNullOrEmpty
    }

    It 'asks for the token against forged requests where Sunshine has one, and does without where not: <_>' -ForEach 'with', 'without' {
        if ($_ -eq 'without') { (Get-StandInState).sunshine.token = $null }
        $null = Start-TestGame sunshine
        (Get-App).name | Should -Contain 'neverball'
    }

    It 'fails where Sunshine does not run' {
        Stop-StandInProcess (Get-StandInProcess sunshine.exe).ProcessId
        { Start-TestGame sunshine } | Should -Throw -ErrorId sunshine_unreachable
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'fails where Sunshine does not answer, and takes all of it back' {
        (Get-StandInState).sunshine.port = 1
        { Start-TestGame sunshine @{ PlayerAddress = $Player } } | Should -Throw -ErrorId sunshine_unreachable
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'fails where Sunshine refuses the login, and takes all of it back' {
        { Start-TestGame sunshine @{ Sunshine = @{ port = 47989; user = 'sun'; password = 'no' }; PlayerAddress = $Player } } |
            Should -Throw '*refuses the user or password*' -ErrorId sunshine_refused
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'tells the login to no other program that has Sunshine''s port' {
        $other = Add-StandInProcess 'C:\Other\other.exe'
        (Get-StandInState).listeners = @(@{ port = 47990; pid = $other; opens = 0 })
        { Start-TestGame sunshine } | Should -Throw '*47990 belongs to C:\Other\other.exe*' -ErrorId sunshine_unreachable
        Get-Call 'GET /api*' | Should -BeNullOrEmpty
    }

    It 'finds Sunshine at the base port that was told' {
        $null = Start-StandInSunshine -Port 50000
        (Start-TestGame sunshine @{ Sunshine = @{ port = 50000; user = 'sun'; password = 'moon' }; StreamPort = 50000 }).changed | Should -BeTrue
    }

    It 'writes the login nowhere' {
        $null = Start-TestGame sunshine
        Get-Content -LiteralPath $RecordFile -Raw | Should -Not -Match 'moon'
        (Get-ScheduledTask -TaskPath '\Orchestrator\').Actions.Arguments | Should -Not -Match 'moon'
    }

    It 'completes a first start that was cut off before the app was there' {
        $null = Start-TestGame sunshine
        Edit-Record @{ phase = 'starting' }
        (Get-StandInState).sunshine.apps = @(@{ name = 'Desktop' })
        (Start-TestGame sunshine).changed | Should -BeTrue
        (Get-App).name | Should -Contain 'neverball'
    }

    It 'is over where Sunshine was restarted since' {
        $launch = Start-TestGame sunshine
        Step-StandInClock 5
        Stop-StandInProcess $launch.pid
        $null = Start-StandInSunshine
        (Get-TestLaunch).state | Should -Be 'gone'
        { Start-TestGame sunshine } | Should -Throw -ErrorId launch_ended
    }
}

Describe 'Stop-Game in mode sunshine' {
    BeforeEach { New-GameServer }

    It 'closes what Sunshine runs, takes the app out and leaves Sunshine running' {
        $launch = Start-TestGame sunshine
        $player = Add-StandInProcess $Game -Parent $launch.pid -AgeSec 0
        $answer = Stop-TestGame $launch
        $answer.how | Should -Be 'graceful'
        $answer.ended.pid | Should -Be $player
        (Get-App).name | Should -Be 'Desktop'
        Get-StandInProcess sunshine.exe | Should -HaveCount 1
        Get-Call 'Stop-Process*' | Should -BeNullOrEmpty
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'takes out the session''s app only, wherever it stands in the list' {
        $first = Start-TestGame sunshine
        $null = Start-TestGame sunshine @{ SessionId = 's-2'; AppName = 'another' }
        $null = Stop-TestGame $first
        (Get-App).name | Should -Be 'another', 'Desktop'
    }

    It 'closes nothing where Sunshine was restarted meanwhile, but takes the app out' {
        $launch = Start-TestGame sunshine
        Step-StandInClock 5
        Stop-StandInProcess $launch.pid
        $null = Start-StandInSunshine
        (Stop-TestGame $launch).how | Should -Be 'already_gone'
        Get-Call 'POST /api/apps/close' | Should -BeNullOrEmpty
        (Get-App).name | Should -Be 'Desktop'
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'warns where Sunshine does not run any more: the app stays in its list' {
        $launch = Start-TestGame sunshine
        Stop-StandInProcess $launch.pid
        $answer = Stop-TestGame $launch
        $answer.warnings | Should -BeLike '*app of this session stays*'
        Get-Trace | Should -Be 'app neverball'
    }

    It 'never ends Sunshine where the server has lost all that it knew of the session' {
        $launch = Start-TestGame sunshine
        Remove-Item -LiteralPath $RecordFile
        Unregister-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1 -Confirm:$false
        $null = Stop-TestGame $launch
        Get-StandInProcess sunshine.exe | Should -HaveCount 1
        (Get-App).name | Should -Be 'Desktop'
    }

    It 'refuses another identity, and closes nothing' {
        $launch = Start-TestGame sunshine
        { Stop-TestGame $launch @{ CreatedAt = '2001-01-01T00:00:00Z' } } | Should -Throw -ErrorId identity_mismatch
        Get-Call 'POST /api/apps/close' | Should -BeNullOrEmpty
        (Get-App).name | Should -Contain 'neverball'
    }
}
