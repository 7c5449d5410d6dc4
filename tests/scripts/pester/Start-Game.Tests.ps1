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

Describe 'Start-Game in mode process' {
    BeforeEach { New-GameServer }

    It 'runs the game itself by a task that the session names' {
        (Start-TestGame process).task | Should -Be '\Orchestrator\s-1'
        $task = Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1
        $task.Actions.Execute | Should -Be $Game
        $task.Actions.WorkingDirectory | Should -Be 'C:\Games\Neverball'
    }

    It 'uses the interactive token of who is at the desktop, and no more rights than that' {
        $null = Start-TestGame process
        $principal = (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Principal
        $principal.UserId | Should -Be 'GAME01\player'
        $principal.LogonType | Should -Be 'Interactive'
        $principal.RunLevel | Should -Be 'Limited'
    }

    It 'uses the highest rights of that user where the game is elevated' {
        $null = Start-TestGame process @{ Elevated = $true }
        (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Principal.RunLevel | Should -Be 'Highest'
    }

    It 'gives the task normal priority, no time limit, and no care for batteries or idleness' {
        $null = Start-TestGame process
        $settings = (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Settings
        $settings.Priority | Should -Be 4
        $settings.ExecutionTimeLimit | Should -Be 'PT0S'
        $settings.MultipleInstances | Should -Be 'IgnoreNew'
        $settings.DisallowStartIfOnBatteries | Should -BeFalse
        $settings.StopIfGoingOnBatteries | Should -BeFalse
        $settings.StopOnIdleEnd | Should -BeFalse
    }

    It 'answers PID, creation time and image of the game, and whose desktop it is at' {
        $launch = Start-TestGame process
        $process = Get-StandInProcess neverball.exe
        $launch.changed | Should -BeTrue
        $launch.warnings | Should -BeNullOrEmpty
        $launch.session_id | Should -Be 's-1'
        $launch.pid | Should -Be $process.ProcessId
        $launch.created_at | Should -Be $process.CreationDate.ToUniversalTime()
        $launch.image | Should -Be $Game
        $launch.companions | Should -BeNullOrEmpty
        $launch.desktop_user | Should -Be 'GAME01\player'
        $launch.windows_session | Should -Be 1
    }

    It 'is ready when the game has lived for two seconds' {
        Add-StandInProgram $Game @{ delay = 1 }
        $null = Start-TestGame process
        $age = (Get-UtcNowStandIn) - (Get-StandInProcess neverball.exe).CreationDate.ToUniversalTime()
        $age.TotalSeconds | Should -BeGreaterOrEqual 2
    }

    It 'waits for the port where that means ready, and not two seconds more' {
        Add-StandInProgram $Game @{ port = 8554; port_after = 4 }
        $before = Get-UtcNowStandIn
        $null = Start-TestGame process @{ Ready = 'port' }
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeGreaterThan 4
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeLessThan 5.5
    }

    It 'takes the process that listens for the launch, where the program started another' {
        Add-StandInProgram 'C:\Games\engine.exe'
        Add-StandInProgram $Game @{ child = 'C:\Games\engine.exe'; port = 8554; port_owner = 'child'; port_after = 0.05 }
        (Start-TestGame process @{ Ready = 'port' }).image | Should -Be 'C:\Games\engine.exe'
    }

    It 'follows a launcher to what it started' {
        Add-StandInProgram 'C:\Games\launcher.exe' @{ lives = 0.6; child = $Game }
        $launch = Start-TestGame process @{ Executable = 'C:\Games\launcher.exe' }
        $launch.image | Should -Be $Game
        $launch.pid | Should -Be (Get-StandInProcess neverball.exe).ProcessId
    }

    It 'calls what the game started its companions' {
        Add-StandInProgram 'C:\Games\helper.exe'
        Add-StandInProgram $Game @{ child = 'C:\Games\helper.exe' }
        (Start-TestGame process).companions.image | Should -Be 'C:\Games\helper.exe'
    }

    It 'runs the game in the working directory that was asked for' {
        Add-StandInFile 'C:\Games\data\levels.txt'
        $null = Start-TestGame process @{ WorkingDirectory = 'C:/Games/data/' }
        (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Actions.WorkingDirectory | Should -Be 'C:\Games\data'
    }

    It 'gives variables to the game and to nothing else' {
        $variables = @(@{ name = 'SKIN'; value = 'it''s "blue" & $x' }, @{ name = 'A_B'; value = '1' })
        $null = Start-TestGame process @{ Environment = $variables; Arguments = @('a b') }
        $process = Get-StandInProcess neverball.exe
        $process.Environment.SKIN | Should -Be 'it''s "blue" & $x'
        $process.Environment.A_B | Should -Be '1'
        $process.CommandLine | Should -Be "`"$Game`" `"a b`""
        $env:SKIN | Should -BeNullOrEmpty
    }

    It 'shows no window of the PowerShell that sets the variables' {
        $null = Start-TestGame process @{ Environment = @(@{ name = 'SKIN'; value = 'blue' }) }
        (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Actions.Arguments | Should -BeLike '*-WindowStyle Hidden*'
    }

    It 'does not take a game for its own that ran before' {
        $before = Add-StandInProcess $Game
        (Start-TestGame process).pid | Should -Not -Be $before
    }

    It 'does not take a game for its own that ran before, even one that is a moment old' {
        $before = Add-StandInProcess $Game -AgeSec 0.5
        (Start-TestGame process).pid | Should -Not -Be $before
    }

    It 'does not take the game of another session for its own' {
        $first = Start-TestGame process
        $second = Start-TestGame process @{ SessionId = 's-2' }
        $second.pid | Should -Not -Be $first.pid
    }

    It 'never takes a process of the services for the game' {
        Add-StandInProgram $Game @{ delay = 1 }
        $service = Add-StandInProcess $Game -Session 0 -AgeSec -0.3
        (Start-TestGame process).pid | Should -Not -Be $service
    }

    It 'knows a game by its name where Windows does not tell its path' {
        Add-StandInProgram $Game @{ hidden = $true }
        (Start-TestGame process).image | Should -Be 'neverball.exe'
    }

    It 'keeps what it found in the server''s own record' {
        $launch = Start-TestGame process
        $record = Get-Content -LiteralPath $RecordFile | ConvertFrom-Json
        $record.phase | Should -Be 'running'
        $record.launch.pid | Should -Be $launch.pid
        $record.launch.image | Should -Be $Game
    }

    It 'warns where the record cannot be kept, and starts all the same' {
        Add-StandInFile 'C:\ProgramData\Orchestrator' 'a file where the folder should be'
        $launch = Start-TestGame process
        $launch.pid | Should -Be (Get-StandInProcess neverball.exe).ProcessId
        $launch.warnings | Should -HaveCount 1
        $launch.warnings | Should -BeLike '*record could not be written*'
    }
}

Describe 'Start-Game in mode periodic' {
    BeforeEach { New-GameServer }

    It 'starts the game first and GamingAnywhere beside it, each by a task of its own' {
        $null = Start-TestGame periodic
        (Get-ScheduledTask -TaskPath '\Orchestrator\').TaskName | Should -Be 's-1', 's-1.game'
        (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Actions.Execute | Should -Be "$Bin\ga-server-periodic.exe"
        (Get-StandInProcess neverball.exe).CreationDate | Should -BeLessThan (Get-StandInProcess ga-server-periodic.exe).CreationDate
    }

    It 'answers the server as launch and the game as its companion' {
        $launch = Start-TestGame periodic
        $launch.pid | Should -Be (Get-StandInProcess ga-server-periodic.exe).ProcessId
        $launch.companions.pid | Should -Be (Get-StandInProcess neverball.exe).ProcessId
    }

    It 'runs the server with a copy of the config that ends with the session''s ports and log' {
        $null = Start-TestGame periodic
        (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Actions.Arguments | Should -Be $ConfigCopy
        Get-Content -LiteralPath $ConfigCopy | Select-Object -Last 4 | Should -Be @(
            '# session s-1', 'server-port = 8554', 'control-port = 8555', "logfile = $LogFile")
    }

    It 'leaves the game''s own config as it is' {
        $before = Get-Content -LiteralPath $Config -Raw
        $null = Start-TestGame periodic
        Get-Content -LiteralPath $Config -Raw | Should -BeExactly $before
    }

    It 'leaves the control port to the config where none is given' {
        $null = Start-TestGame periodic @{ ControlPort = 0 }
        Get-Content -LiteralPath $ConfigCopy | Should -Not -Contain 'control-port = 0'
    }

    It 'is ready when the server listens, not before' {
        Add-StandInProgram "$Bin\ga-server-periodic.exe" @{ port = 'config'; port_after = 3 }
        $before = Get-UtcNowStandIn
        $null = Start-TestGame periodic
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeGreaterThan 3
    }

    It 'starts the server again while the game''s window is not there' {
        Add-StandInProgram "$Bin\ga-server-periodic.exe" @{ lives = 0.1 }
        { Start-TestGame periodic @{ ReadyTimeoutSec = 5 } } | Should -Throw -ErrorId launch_failed
        @(Get-Call Start-ScheduledTask).Count | Should -BeGreaterThan 3
    }

    It 'tells the end of the server''s log where that never stays' {
        Add-StandInProgram "$Bin\ga-server-periodic.exe" @{ lives = 0.1 }
        Add-StandInFile $LogFile "first`nno window named Neverball`n"
        { Start-TestGame periodic @{ ReadyTimeoutSec = 4 } } | Should -Throw '*no window named Neverball*' -ErrorId launch_failed
    }

    It 'does not wait for the rest of the time where the game is gone' {
        Add-StandInProgram $Game @{ lives = 1 }
        Add-StandInProgram "$Bin\ga-server-periodic.exe" @{ lives = 0.5 }
        $before = Get-UtcNowStandIn
        { Start-TestGame periodic @{ ReadyTimeoutSec = 60 } } | Should -Throw -ErrorId launch_failed
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeLessThan 10
    }

    It 'starts game and server with the highest rights where the game is elevated' {
        $null = Start-TestGame periodic @{ Elevated = $true }
        (Get-ScheduledTask -TaskPath '\Orchestrator\').Principal.RunLevel | Should -Be 'Highest', 'Highest'
    }

    It 'gives arguments and variables to the game, not to the server' {
        $null = Start-TestGame periodic @{ Arguments = @('-level', '3'); Environment = @(@{ name = 'SKIN'; value = 'blue' }) }
        $process = Get-StandInProcess neverball.exe
        $process.CommandLine | Should -Be "`"$Game`" -level 3"
        $process.Environment.SKIN | Should -Be 'blue'
        (Get-StandInProcess ga-server-periodic.exe).CommandLine | Should -Not -BeLike '*-level*'
    }
}

Describe 'Start-Game in mode event-driven' {
    BeforeEach { New-GameServer }

    It 'answers the game that GamingAnywhere started, not the launcher that ended' {
        $launch = Start-TestGame event-driven
        $launch.image | Should -Be $Game
        $launch.pid | Should -Be (Get-StandInProcess neverball.exe).ProcessId
        (Get-ScheduledTask -TaskPath '\Orchestrator\').TaskName | Should -Be 's-1'
    }

    It 'hands arguments, variables and directory to the game through the copy of the config' {
        Add-StandInFile 'C:\Games\readme.txt'
        $null = Start-TestGame event-driven @{ Arguments = @('a "b"', 'c\'); Environment = @(@{ name = 'SKIN'; value = 'blue' }); WorkingDirectory = 'C:\Games' }
        Get-Content -LiteralPath $ConfigCopy | Select-Object -Last 5 | Should -Be @(
            'game-dir = C:\Games', 'game-argv = none', 'game-argv[001] = a \"b\"', 'game-argv[002] = c\\', 'game-env[session001] = SKIN=blue')
    }

    It 'writes no key for what was not given' {
        $null = Start-TestGame event-driven
        Get-Content -LiteralPath $ConfigCopy | Where-Object { $_ -match '^game-(dir|argv|env)' } | Should -BeNullOrEmpty
    }

    It 'refuses an argument that the config cannot carry: <_>' -ForEach 'a#b', 'a;b', ' a', 'a ', '[x', 'a//b', '' {
        { Start-TestGame event-driven @{ Arguments = @($_) } } | Should -Throw -ErrorId bad_parameter
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'keeps what is not ASCII in the copy readable' {
        $word = [string][char]0x904A + [char]0x6232
        $null = Start-TestGame event-driven @{ Arguments = @($word) }
        Get-Content -LiteralPath $ConfigCopy -Encoding utf8 | Should -Contain "game-argv[001] = $word"
    }

    It 'gives two sessions their own ports, logs and copies' {
        $null = Start-TestGame event-driven
        $null = Start-TestGame event-driven @{ SessionId = 's-2'; StreamPort = 8556; ControlPort = 8557 }
        $second = Get-Content -LiteralPath 'C:\GamingAnywhere\config\neverball.s-2.conf'
        $second | Should -Contain 'server-port = 8556'
        $second | Should -Contain 'control-port = 8557'
        $second | Should -Contain 'logfile = C:\ProgramData\Orchestrator\s-2.log'
        Get-StandInProcess neverball.exe | Should -HaveCount 2
    }
}

Describe 'Arguments of a game' {
    BeforeEach { New-GameServer }

    It 'reach it as they were given: <_>' -ForEach @(
        'plain', 'a b', '', 'say "hi"', 'C:\my games\', 'C:\games\', 'a\\"b', '\\server\share\', '"', '\"', 'tab	tab', '100%', "it's", '^&|<>'
        ([string][char]0x904A + [char]0x6232 + ' ' + [char]0xFC)
    ) {
        $null = Start-TestGame process @{ Arguments = @('first', $_, 'last') }
        $line = (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Actions.Arguments
        Split-CommandLine $line | Should -BeExactly @('first', $_, 'last')
    }

    It 'are written as Windows quotes them' {
        $null = Start-TestGame process @{ Arguments = @('-data', 'C:\my games\\', 'say "hi"') }
        (Get-ScheduledTask -TaskPath '\Orchestrator\' -TaskName s-1).Actions.Arguments | Should -BeExactly '-data "C:\my games\\\\" "say \"hi\""'
    }

    It 'stay as they are behind the PowerShell that sets variables: <_>' -ForEach "it's", 'say "hi"', '$(1)', '`n' {
        $null = Start-TestGame process @{ Arguments = @($_); Environment = @(@{ name = 'A'; value = 'b' }) }
        $line = (Get-StandInProcess neverball.exe).CommandLine
        Split-CommandLine $line.Substring($Game.Length + 3) | Should -BeExactly $_
    }
}

Describe 'The desktop that a game needs' {
    BeforeEach { New-GameServer }

    It 'is refused where nobody is logged on, in mode <_>' -ForEach $Modes {
        Set-StandInDesktop Nobody
        { Start-TestGame $_ } | Should -Throw -ErrorId desktop_missing
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'is refused where it is locked, in mode <_>' -ForEach $Modes {
        Set-StandInDesktop Locked
        { Start-TestGame $_ } | Should -Throw '*GAME01\player is locked*' -ErrorId desktop_locked
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'is refused where its remote desktop went away, in mode <_>' -ForEach $Modes {
        Set-StandInDesktop Disconnected
        { Start-TestGame $_ } | Should -Throw -ErrorId desktop_disconnected
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'counts as locked by LogonUI.exe where Windows does not tell' {
        $null = Add-StandInProcess 'C:\Windows\System32\LogonUI.exe' -Session 1
        { Start-TestGame } | Should -Throw -ErrorId desktop_locked
    }

    It 'is not locked by LogonUI.exe where Windows says that it is not' {
        $null = Add-StandInProcess 'C:\Windows\System32\LogonUI.exe' -Session 1
        Set-StandInDesktop Active
        (Start-TestGame).changed | Should -BeTrue
    }

    It 'is not locked by the LogonUI.exe of another Windows session' {
        $null = Add-StandInProcess 'C:\Windows\System32\LogonUI.exe' -Session 2
        (Start-TestGame).changed | Should -BeTrue
    }

    It 'is never that of the services' {
        Set-StandInDesktop Nobody
        $null = Add-StandInProcess 'C:\Windows\explorer.exe' -Session 0 -User 'NT AUTHORITY\SYSTEM'
        { Start-TestGame } | Should -Throw -ErrorId desktop_missing
    }

    It 'is the console''s before a remote one' {
        (Get-StandInState).console_user = 'GAME01\console'
        $null = Add-StandInProcess 'C:\Windows\explorer.exe' -Session 3 -User 'GAME01\console'
        $launch = Start-TestGame
        $launch.desktop_user | Should -Be 'GAME01\console'
    }

    It 'is another one that can be played at, where the console is locked' {
        $null = Add-StandInProcess 'C:\Windows\explorer.exe' -Session 2 -User 'GAME01\remote'
        Set-StandInDesktop Locked -Session 1
        (Start-TestGame).desktop_user | Should -Be 'GAME01\remote'
    }

    It 'is told by the console''s problem where none can be played at' {
        $null = Add-StandInProcess 'C:\Windows\explorer.exe' -Session 2 -User 'GAME01\remote'
        Set-StandInDesktop Locked -Session 1
        Set-StandInDesktop Disconnected -Session 2
        { Start-TestGame } | Should -Throw -ErrorId desktop_locked
    }

    It 'is found where only the console''s user is told, not the owner of its Explorer' {
        Deny-StandInCommand Invoke-CimMethod
        (Start-TestGame).desktop_user | Should -Be 'GAME01\player'
    }

    It 'is found where another program is the shell' {
        (Get-StandInState).processes = @((Get-StandInState).processes | Where-Object { $_.name -ne 'explorer.exe' })
        (Start-TestGame).desktop_user | Should -Be 'GAME01\player'
    }
}

Describe 'A start that cannot be' {
    BeforeEach { New-GameServer }

    It 'is <Code> in mode <Mode>: <Because>' -ForEach @(
        foreach ($mode in 'periodic', 'event-driven', 'process', 'sunshine') {
            @{ Mode = $mode; Because = 'no such executable'; With = @{ Executable = 'C:\Games\none.exe' }; Code = 'executable_missing' }
            @{ Mode = $mode; Because = 'no such working directory'; With = @{ WorkingDirectory = 'C:\None' }; Code = 'working_directory_missing' }
            @{ Mode = $mode; Because = 'a relative executable'; With = @{ Executable = 'Games\none.exe' }; Code = 'bad_parameter' }
            @{ Mode = $mode; Because = 'a player by name'; With = @{ PlayerAddress = 'player.example' }; Code = 'bad_parameter' }
            @{ Mode = $mode; Because = 'a session id that is a path'; With = @{ SessionId = '..\x' }; Code = 'bad_parameter' }
            @{ Mode = $mode; Because = 'an unknown parameter'; With = @{ Fullscreen = $true }; Code = 'bad_parameter' }
        }
        foreach ($mode in 'periodic', 'event-driven') {
            @{ Mode = $mode; Because = 'no GamingAnywhere'; With = @{ GaDirectory = 'C:\None' }; Code = 'ga_missing' }
            @{ Mode = $mode; Because = 'no config'; With = @{ ConfigPath = 'C:\GamingAnywhere\config\none.conf' }; Code = 'config_missing' }
            @{ Mode = $mode; Because = 'a relative config'; With = @{ ConfigPath = 'none.conf' }; Code = 'bad_parameter' }
            @{ Mode = $mode; Because = 'no port to wait for'; With = @{ StreamPort = 0 }; Code = 'bad_parameter' }
            @{ Mode = $mode; Because = 'a port that is none'; With = @{ StreamPort = 70000 }; Code = 'bad_parameter' }
        }
        @{ Mode = 'process'; Because = 'a variable that cannot be'; With = @{ Environment = @(@{ name = 'A=B'; value = 'c' }) }; Code = 'bad_parameter' }
        @{ Mode = 'sunshine'; Because = 'variables'; With = @{ Environment = @(@{ name = 'A'; value = 'c' }) }; Code = 'bad_parameter' }
        @{ Mode = 'sunshine'; Because = 'no name of an app'; With = @{ AppName = $null }; Code = 'bad_parameter' }
        @{ Mode = 'sunshine'; Because = 'no login'; With = @{ Sunshine = $null }; Code = 'bad_parameter' }
    ) {
        { Start-TestGame $Mode $With } | Should -Throw -ErrorId $Code
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'does not look for what is on a share, which this account cannot see' {
        { Start-TestGame process @{ Executable = '\\files\games\neverball.exe'; ReadyTimeoutSec = 3 } } | Should -Not -Throw -ErrorId executable_missing
    }

    It 'says who has the stream port, in mode <_>' -ForEach 'periodic', 'event-driven' {
        $other = Add-StandInProcess 'C:\Other\other.exe'
        Open-StandInPort 8554 -ProcessId $other
        { Start-TestGame $_ } | Should -Throw "*8554 is taken by C:\Other\other.exe (PID $other)*" -ErrorId port_in_use
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'says who took the stream port meanwhile, in mode <_>' -ForEach 'periodic', 'event-driven' {
        Add-StandInProgram "$Bin\ga-server-periodic.exe"
        Add-StandInProgram "$Bin\ga-server-event-driven.exe" @{ lives = 0.3; child = 'config' }
        $other = Add-StandInProcess 'C:\Other\other.exe'
        (Get-StandInState).listeners += @{ port = 8554; pid = $other; opens = (Get-UtcNowStandIn).Ticks + 10000000 }
        { Start-TestGame $_ @{ ReadyTimeoutSec = 3 } } | Should -Throw '*taken meanwhile by C:\Other\other.exe*' -ErrorId port_in_use
    }

    It 'is undone where the port never opens, in mode <_>' -ForEach 'periodic', 'event-driven' {
        Add-StandInProgram "$Bin\ga-server-periodic.exe"
        Add-StandInProgram "$Bin\ga-server-event-driven.exe" @{ lives = 0.3; child = 'config' }
        { Start-TestGame $_ @{ ReadyTimeoutSec = 3; PlayerAddress = $Player } } | Should -Throw '*nothing listens on port 8554*' -ErrorId not_ready
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'is undone where the game ends at once, after <_> s' -ForEach 0, 0.6, 1.5 {
        Add-StandInProgram $Game @{ lives = $_ }
        { Start-TestGame process @{ PlayerAddress = $Player } } | Should -Throw '*neverball.exe*' -ErrorId launch_failed
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'is undone where GamingAnywhere''s game ends at once' {
        Add-StandInProgram $Game @{ lives = 0.2 }
        { Start-TestGame event-driven } | Should -Throw -ErrorId launch_failed
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'does not hold up its caller where the game is gone' {
        Add-StandInProgram $Game @{ lives = 0.6 }
        $before = Get-UtcNowStandIn
        { Start-TestGame process @{ ReadyTimeoutSec = 60 } } | Should -Throw -ErrorId launch_failed
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeLessThan 6
    }

    It 'leaves the same game of somebody else alone while it is undone' {
        $other = Add-StandInProcess $Game
        Add-StandInProgram $Game @{ lives = 0.6 }
        { Start-TestGame } | Should -Throw -ErrorId launch_failed
        (Get-StandInProcess neverball.exe).ProcessId | Should -Be $other
    }

    It 'is <Code> in mode <Mode> where Windows denies <Command>' -ForEach @(
        foreach ($mode in 'periodic', 'event-driven', 'process', 'sunshine') {
            @{ Mode = $mode; Command = 'Register-ScheduledTask'; Code = 'task_refused' }
            @{ Mode = $mode; Command = 'Get-ScheduledTask'; Code = 'access_denied' }
            @{ Mode = $mode; Command = 'Get-CimInstance Win32_Process'; Code = 'access_denied' }
            @{ Mode = $mode; Command = 'New-NetFirewallRule'; Code = 'firewall_refused' }
            @{ Mode = $mode; Command = 'Get-NetFirewallRule'; Code = 'firewall_refused' }
        }
        @{ Mode = 'process'; Command = 'Start-ScheduledTask'; Code = 'task_refused' }
        @{ Mode = 'periodic'; Command = 'Start-ScheduledTask'; Code = 'task_refused' }
        @{ Mode = 'periodic'; Command = 'Get-NetTCPConnection'; Code = 'access_denied' }
    ) {
        Deny-StandInCommand $Command
        { Start-TestGame $Mode @{ PlayerAddress = $Player } } | Should -Throw -ErrorId $Code
        (Get-StandInState).denied = @()
        Get-Trace | Should -BeNullOrEmpty
    }
}

Describe 'Start-Game called again for a session' {
    BeforeEach { New-GameServer }

    It 'answers the first launch and starts nothing, in mode <_>' -ForEach $Modes {
        $first = Start-TestGame $_
        $traces = Get-Trace
        $second = Start-TestGame $_
        $second.changed | Should -BeFalse
        $second.pid | Should -Be $first.pid
        $second.created_at | Should -Be $first.created_at
        $second.image | Should -Be $first.image
        Get-Trace | Should -Be $traces
    }

    It 'waits for the first call''s launch where that is under way' {
        $first = Start-TestGame
        Edit-Record @{ phase = 'starting'; launch = $null; found_at = $null; known = @() }
        Switch-StandInProcess $first.pid -LaterSec 4
        $second = Start-TestGame
        $second.pid | Should -Be $first.pid
        $second.changed | Should -BeFalse
        (Get-Content -LiteralPath $RecordFile | ConvertFrom-Json).phase | Should -Be 'running'
    }

    It 'answers the launch of a first call that was cut off, in mode <_>' -ForEach 'periodic', 'event-driven', 'process' {
        $first = Start-TestGame $_
        Edit-Record @{ phase = 'starting'; launch = $null; companions = @() }
        $second = Start-TestGame $_
        $second.pid | Should -Be $first.pid
        $second.companions.pid | Should -Be $first.companions.pid
        $second.changed | Should -BeFalse
    }

    It 'finds the launch by the task alone where the record is lost, in mode <_>' -ForEach 'periodic', 'process' {
        $first = Start-TestGame $_
        Remove-Item -LiteralPath $RecordFile
        (Start-TestGame $_).pid | Should -Be $first.pid
    }

    It 'fails where the game has ended, and starts nothing' {
        Start-TestGame | ForEach-Object { Stop-StandInProcess $_.pid }
        { Start-TestGame } | Should -Throw -ErrorId launch_ended
        Get-StandInProcess neverball.exe | Should -BeNullOrEmpty
    }

    It 'fails where the PID is another process''s by now: <Because>' -ForEach @(
        @{ Because = 'another program'; With = @{ Path = 'C:\Windows\notepad.exe'; LaterSec = 5 } }
        @{ Because = 'the same program, created later'; With = @{ LaterSec = 1 } }
    ) {
        $first = Start-TestGame
        Step-StandInClock 10
        Switch-StandInProcess $first.pid @With
        { Start-TestGame } | Should -Throw -ErrorId launch_ended
    }

    It 'fails where a task of that name is left of a launch long gone' {
        $first = Start-TestGame
        Remove-Item -LiteralPath $RecordFile
        Stop-StandInProcess $first.pid
        Step-StandInClock 60
        { Start-TestGame } | Should -Throw -ErrorId launch_ended
        @(Get-Call Start-ScheduledTask) | Should -HaveCount 1
    }

    It 'fails in time where the first call never gets it ready' {
        $null = Start-TestGame event-driven
        Edit-Record @{ phase = 'starting'; launch = $null }
        (Get-StandInState).listeners = @()
        { Start-TestGame event-driven @{ ReadyTimeoutSec = 3 } } | Should -Throw -ErrorId not_ready
        Get-StandInProcess neverball.exe | Should -HaveCount 1
    }
}

Describe 'Start-Game -WhatIf' {
    BeforeEach { New-GameServer }

    It 'says the same and changes nothing, in mode <_>' -ForEach $Modes {
        $answer = Start-TestGame $_ @{ WhatIf = $true; PlayerAddress = $Player }
        $answer.changed | Should -BeFalse
        $answer.pid | Should -BeNullOrEmpty
        $answer.desktop_user | Should -Be 'GAME01\player'
        Get-Trace | Should -BeNullOrEmpty
    }

    It 'fails as the start would' {
        Set-StandInDesktop Locked
        { Start-TestGame process @{ WhatIf = $true } } | Should -Throw -ErrorId desktop_locked
    }
}
