<#
.SYNOPSIS
    The steps of a start, for Start-Game.ps1.
.DESCRIPTION
    Needs Common.ps1, Process.ps1, Session.ps1 and Launch.ps1. An order holds
    what Start-Game.ps1 was asked for, its deadline and the warnings so far.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Start.ps1
#>
#Requires -Version 5.1

function Assert-Order {
    # The parameters must fit together.
    param([object] $Order)
    $problems = @()
    if (-not (Test-AbsolutePath $Order.Executable)) { $problems += "Executable must be an absolute path, not '$($Order.Executable)'" }
    if ($Order.Directory -and -not (Test-AbsolutePath $Order.Directory)) { $problems += "WorkingDirectory must be an absolute path, not '$($Order.Directory)'" }
    if ($Order.Mode -ne 'process') {
        if (-not (Test-AbsolutePath $Order.GaDirectory)) { $problems += "mode $($Order.Mode) needs GaDirectory, an absolute path" }
        if (-not (Test-AbsolutePath $Order.ConfigPath)) { $problems += "mode $($Order.Mode) needs ConfigPath, an absolute path" }
    }
    if ($Order.Ready -eq 'port' -and $Order.StreamPort -eq 0) { $problems += 'Ready port needs a StreamPort' }
    foreach ($variable in $Order.Environment) {
        $name = [string](Get-OptionalProperty $variable 'name' '')
        $value = [string](Get-OptionalProperty $variable 'value' '')
        if ($name -notmatch '^[^=\x00-\x1f]+$' -or $value -match '[\x00-\x1f]') { $problems += "Environment cannot hold '$name'" }
    }
    if ($Order.Mode -eq 'event-driven') { $problems += @(Get-ConfigProblem $Order) }
    if ($problems.Count -gt 0) { throw (New-Failure 'bad_parameter' ($problems -join '; ')) }
}

function Get-ConfigProblem {
    # What of an order GamingAnywhere's config could not carry: it has no
    # quoting, so that comments and line ends cannot be written.
    param([object] $Order)
    foreach ($value in @(Get-GameSetting $Order | ForEach-Object { $_.Value })) {
        if ($value -match '[\x00-\x1f#;]' -or $value -match '^\s|\s$|^\[|^[^/]*//' -or $value -eq '') {
            "'$value' cannot be written into GamingAnywhere's config: no empty text, no # or ;, no // and no [ at its start"
        }
    }
}

function Get-GameSetting {
    # Keys and values that hand an order's arguments, environment and directory
    # to an event-driven game. GamingAnywhere puts each argument between quotes
    # itself, without escaping, and takes them in the order of their keys.
    param([object] $Order)
    if ($Order.Directory) { [pscustomobject]@{ Key = 'game-dir'; Value = $Order.Directory } }
    if ($Order.Arguments.Count -gt 0) { [pscustomobject]@{ Key = 'game-argv'; Value = 'none' } }
    $number = 0
    foreach ($word in $Order.Arguments) {
        $number++
        $escaped = ($word -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1'
        [pscustomobject]@{ Key = 'game-argv[{0:000}]' -f $number; Value = $escaped }
    }
    $number = 0
    foreach ($variable in $Order.Environment) {
        $number++
        [pscustomobject]@{ Key = 'game-env[session{0:000}]' -f $number; Value = "$($variable.name)=$($variable.value)" }
    }
}

function Assert-File {
    # What the launch needs must be there. What is on a share cannot be seen
    # from here, because the credentials do not travel on.
    param([object] $Order)
    Assert-Path $Order.Executable 'Leaf' 'executable_missing' 'the executable'
    if ($Order.Directory) { Assert-Path $Order.Directory 'Container' 'working_directory_missing' 'the working directory' }
    if ($Order.Mode -eq 'process') { return }
    Assert-Path (Get-ServerProgram $Order) 'Leaf' 'ga_missing' "GamingAnywhere's server"
    Assert-Path $Order.ConfigPath 'Leaf' 'config_missing' 'the config'
}

function Assert-Path {
    # One file or folder must be there.
    param([string] $Path, [string] $Kind, [string] $Code, [string] $Words)
    if ($Path.StartsWith('\\')) { return }
    if (-not (Test-Path -LiteralPath $Path -PathType $Kind)) { throw (New-Failure $Code "$Words $Path is not there") }
}

function Assert-PortFree {
    # Nobody may listen on the stream port yet.
    param([object] $Order, [object[]] $Snapshot)
    if ($Order.Ready -ne 'port') { return }
    $owner = @(Get-PortOwner $Order.StreamPort) | Select-Object -First 1
    if ($null -eq $owner) { return }
    throw (New-Failure 'port_in_use' "port $($Order.StreamPort) is taken by $(Get-ProcessWord $owner $Snapshot)")
}

function Get-ProcessWord {
    # A PID in words.
    param([int] $Id, [object[]] $Snapshot)
    $process = @($Snapshot | Where-Object { $_.Id -eq $Id }) | Select-Object -First 1
    if ($null -eq $process) { return "PID $Id" }
    return "$(Get-Image $process) (PID $Id)"
}

function Get-ServerProgram {
    # GamingAnywhere's program for an order's mode.
    param([object] $Order)
    return (Join-WindowsPath $Order.GaDirectory "ga-server-$($Order.Mode).exe")
}

function Get-GameAction {
    # What a task runs to start the game: the executable itself, or a launcher
    # where variables must be set first, which a task cannot do.
    param([object] $Order)
    $folder = $Order.Directory
    if (-not $folder) { $folder = Get-ParentPath $Order.Executable }
    $line = ConvertTo-CommandLine $Order.Arguments
    if ($Order.Environment.Count -eq 0) {
        return [pscustomobject]@{ Execute = $Order.Executable; Argument = $line; Directory = $folder; Marker = '' }
    }
    $start = ConvertTo-AsciiJson ([ordered]@{ exe = $Order.Executable; line = $line; folder = $folder; variables = [object[]]$Order.Environment })
    $source = @(
        "`$start = ConvertFrom-Json '$($start.Replace("'", "''"))'"
        'foreach ($one in $start.variables) { [Environment]::SetEnvironmentVariable($one.name, $one.value) }'
        '$how = @{ FilePath = $start.exe; WorkingDirectory = $start.folder }'
        'if ($start.line) { $how.ArgumentList = $start.line }'
        'Start-Process @how'
    ) -join "`n"
    $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($source))
    $argument = "-NoLogo -NoProfile -NonInteractive -WindowStyle Hidden -EncodedCommand $encoded"
    return [pscustomobject]@{ Execute = 'powershell.exe'; Argument = $argument; Directory = $folder; Marker = $encoded }
}

function Get-MainAction {
    # What the session's main task runs.
    param([object] $Order)
    if ($Order.Mode -eq 'process') { return (Get-GameAction $Order) }
    $config = Get-SessionConfigPath $Order.ConfigPath $Order.SessionId
    return [pscustomobject]@{
        Execute   = Get-ServerProgram $Order
        Argument  = ConvertTo-CommandLine @($config)
        Directory = $Order.GaDirectory
        Marker    = $config
    }
}

function New-LaunchRecord {
    # What is known of a launch before it is started.
    param([object] $Order, [object] $Desktop)
    $main = Get-MainAction $Order
    $record = New-Record $Order.SessionId
    $record.mode = $Order.Mode
    $record.program = $main.Execute
    $record.marker = $main.Marker
    $record.game = $Order.Executable
    if ($Order.Mode -ne 'process') { $record.config = $main.Marker }
    $record.ready = $Order.Ready
    $record.stream_port = $Order.StreamPort
    $record.desktop_user = $Desktop.User
    $record.windows_session = $Desktop.SessionId
    $record.elevated = $Order.Elevated
    $record.ready_by = $Order.Deadline
    return $record
}

function New-SessionConfig {
    # The session's copy of its config, with its own ports and log after all
    # else: GamingAnywhere takes the last assignment.
    param([object] $Order, [object] $Record)
    if (-not $Record.config) { return }
    $lines = @('', "# session $($Order.SessionId)")
    if ($Order.StreamPort -gt 0) { $lines += "server-port = $($Order.StreamPort)" }
    if ($Order.ControlPort -gt 0) { $lines += "control-port = $($Order.ControlPort)" }
    $lines += "logfile = $(Get-SessionFile $Order.SessionId 'log')"
    if ($Order.Mode -eq 'event-driven') { $lines += @(Get-GameSetting $Order | ForEach-Object { "$($_.Key) = $($_.Value)" }) }
    Copy-Item -LiteralPath $Order.ConfigPath -Destination $Record.config -Force -ErrorAction Stop
    $encoding = 'ASCII'
    if (($lines -join '') -match '[^\x00-\x7f]') { $encoding = 'UTF8' }
    Add-Content -LiteralPath $Record.config -Value $lines -Encoding $encoding -Force -ErrorAction Stop
}

function Enter-StartLock {
    # One start at a time until its process is found, or two of the same game
    # could not be told apart. Null where there is no lock to be had.
    param([object] $Order)
    try { $mutex = New-Object System.Threading.Mutex $false, 'Global\OrchestratorStart' }
    catch { return $null }
    $left = [int][math]::Max(0, ($Order.Deadline - [datetime]::UtcNow).TotalMilliseconds)
    try { if ($mutex.WaitOne($left)) { return $mutex } }
    catch [System.Threading.AbandonedMutexException] { return $mutex }
    $mutex.Dispose()
    throw (New-Failure 'launch_failed' 'other starts on this server did not end in time')
}

function Exit-StartLock {
    # Gives the lock back.
    param([object] $Mutex)
    if ($null -eq $Mutex) { return }
    $Mutex.ReleaseMutex()
    $Mutex.Dispose()
}

function Start-Launch {
    # Registers, starts, waits; undoes all of it where it fails.
    param([object] $Order, [object] $Record)
    $main = Get-MainAction $Order
    if (-not (Register-SessionTask $Order.SessionId $main.Execute $main.Argument $main.Directory $Record.desktop_user $Order.Elevated)) {
        return (Resume-Launch $Order)
    }
    $lock = $null
    try {
        New-SessionConfig $Order $Record
        $lock = Enter-StartLock $Order
        $found = Start-SessionProcess $Order $Record
        $Record.found_at = [datetime]::UtcNow
        Save-Record $Order $Record
        Exit-StartLock $lock
        $lock = $null
        $found = Wait-Launch $Order $Record $Order.SessionId $true
    }
    catch {
        $problem = $_
        Undo-Launch $Record
        throw $problem
    }
    finally { Exit-StartLock $lock }
    return (Complete-Launch $Order $Record $found.Launch $found.Companions $true)
}

function Start-SessionProcess {
    # Starts the tasks and waits until the launch is found.
    param([object] $Order, [object] $Record)
    $images = @((Get-LeafName $Record.program), (Get-LeafName $Record.game))
    $Record.before = [object[]]@(Get-ProcessSnapshot | Where-Object { $images -contains $_.Name } | ForEach-Object { Get-ProcessKey $_ })
    $Record.started_at = [datetime]::UtcNow
    Save-Record $Order $Record
    if ($Order.Mode -eq 'periodic') { Start-CompanionGame $Order $Record }
    Start-SessionTask $Order.SessionId
    return (Wait-Launch $Order $Record $Order.SessionId $false)
}

function Start-CompanionGame {
    # Starts the game that a periodic server will capture, by a task of its own:
    # the actions of one task run one after the other.
    param([object] $Order, [object] $Record)
    $name = "$($Order.SessionId).game"
    $action = Get-GameAction $Order
    $null = Remove-SessionTask $name $false
    $null = Register-SessionTask $name $action.Execute $action.Argument $action.Directory $Record.desktop_user $Order.Elevated
    Start-SessionTask $name
    $game = New-Record $Order.SessionId
    $game.program = $action.Execute
    $game.marker = $action.Marker
    $game.game = $Order.Executable
    $game.started_at = $Record.started_at
    $game.before = $Record.before
    $null = Wait-Launch $Order $game $name $false
    $Record.known = $game.known
    Save-Record $Order $Record
}

function Save-Record {
    # Writes the record; where it cannot be, one warning says so.
    param([object] $Order, [object] $Record)
    $problem = Write-Record $Record
    if ($problem -and -not $Order.Warnings.Contains($problem)) { $null = $Order.Warnings.Add($problem) }
}

function Wait-Launch {
    # Waits until the launch is found or, with IsReady, until it is ready.
    param([object] $Order, [object] $Record, [string] $TaskName, [bool] $IsReady)
    $claimed = @(Get-OtherSessionKey $Order.SessionId)
    $watch = @{ Key = ''; Since = $null; GoneSince = $null; Seen = ($Record.known.Count -gt 0) }
    while ($true) {
        $snapshot = @(Get-ProcessSnapshot)
        $found = Find-Launch $snapshot $Record $claimed
        $Record.known = [object[]]@($found.Known)
        $isLate = [datetime]::UtcNow -ge $Order.Deadline
        if ($null -ne $found.Launch -and -not $IsReady) { return $found }
        Assert-Alive $Order $Record $found $watch $TaskName
        if ($found.IsReady -and $null -eq $watch.GoneSince -and (Test-Steady $found.Launch $Record $watch $isLate)) { return $found }
        if ($isLate) { throw (Get-LateFailure $Order $Record $found $TaskName $snapshot) }
        Start-Sleep -Milliseconds 200
    }
}

function Test-Steady {
    # Whether the same launch has lived long enough where there is no port to
    # tell that it is ready.
    param([object] $Process, [object] $Record, [hashtable] $Watch, [bool] $IsLate)
    $key = Get-ProcessKey $Process
    if ($Watch.Key -ne $key) {
        $Watch.Key = $key
        $Watch.Since = [datetime]::UtcNow
    }
    return $Record.ready -eq 'port' -or $IsLate -or [datetime]::UtcNow -ge $Watch.Since.AddSeconds($SettleSec)
}

function Assert-Alive {
    # What was started must live. A periodic server ends at once where the
    # game's window is not there yet: it is started again until the deadline.
    param([object] $Order, [object] $Record, [object] $Found, [hashtable] $Watch, [string] $TaskName)
    $hasRest = $Found.Companions.Count -gt 0
    $isPeriodic = $Record.mode -eq 'periodic'
    $isAlive = $null -ne $Found.Launch -or $hasRest
    if ($isPeriodic) { $isAlive = $null -ne $Found.Launch -and $hasRest }
    if ($isAlive) {
        $Watch.GoneSince = $null
        $Watch.Seen = $true
        return
    }
    if ($null -eq $Watch.GoneSince) { $Watch.GoneSince = [datetime]::UtcNow }
    $gone = ([datetime]::UtcNow - $Watch.GoneSince).TotalSeconds
    $isOver = @('Ready', 'Disabled') -contains (Get-TaskState (Get-SessionTask $TaskName | Select-Object -First 1))
    if ($isPeriodic -and $hasRest) {
        if ($isOver -and $gone -ge 1) {
            Start-SessionTask $TaskName
            $Watch.GoneSince = $null
        }
        return
    }
    if (($Watch.Seen -and $gone -ge 1) -or ($isOver -and $gone -ge 3)) {
        $word = 'never appeared'
        if ($Watch.Seen) { $word = 'ended at once' }
        throw (New-Failure 'launch_failed' (Join-Detail @("$(Get-LeafName $Record.game) $word", (Get-TaskResult $TaskName), (Get-LogTail $Order))))
    }
}

function Get-LateFailure {
    # Why a launch was not ready in time.
    param([object] $Order, [object] $Record, [object] $Found, [string] $TaskName, [object[]] $Snapshot)
    $details = @((Get-TaskResult $TaskName), (Get-LogTail $Order))
    if ($Found.Intruder -gt 0) {
        return (New-Failure 'port_in_use' "port $($Order.StreamPort) was taken meanwhile by $(Get-ProcessWord $Found.Intruder $Snapshot)")
    }
    if ($null -eq $Found.Launch) {
        return (New-Failure 'launch_failed' (Join-Detail (@("$(Get-LeafName $Record.program) did not stay up in time") + $details)))
    }
    return (New-Failure 'not_ready' (Join-Detail (@("$($Found.Launch.Name) (PID $($Found.Launch.Id)) runs but nothing listens on port $($Order.StreamPort)") + $details)))
}

function Join-Detail {
    # Those parts of a message that there are.
    param([string[]] $Part)
    return (@($Part | Where-Object { $_ }) -join '; ')
}

function Get-LogTail {
    # The last lines of GamingAnywhere's log, or nothing.
    param([object] $Order)
    if ($Order.Mode -eq 'process') { return '' }
    try {
        $path = Get-SessionFile $Order.SessionId 'log'
        if (-not (Test-Path -LiteralPath $path)) { return '' }
        $tail = @(Get-Content -LiteralPath $path -Tail 5 -ErrorAction Stop) -join ' | '
    }
    catch { return '' }
    if ($tail.Length -gt 400) { $tail = $tail.Substring($tail.Length - 400) }
    if (-not $tail) { return '' }
    return "its log ends: $tail"
}

function Undo-Launch {
    # Ends what a failed start started and removes what it left. The start's own
    # error matters more than what goes wrong here.
    param([object] $Record)
    try {
        $found = Find-Launch @(Get-ProcessSnapshot) $Record @(Get-OtherSessionKey $Record.session_id)
        $null = Stop-ProcessTree $found.Known
    }
    catch { Write-Verbose "undo: $($_.Exception.Message)" }
    try { $null = Remove-SessionTrace $Record.session_id $Record.config $true }
    catch { Write-Verbose "undo: $($_.Exception.Message)" }
}

function Complete-Launch {
    # Keeps what was found, and answers it.
    param([object] $Order, [object] $Record, [object] $Process, [object[]] $Companion, [bool] $Changed)
    $Record.launch = New-Identity $Process
    $Record.companions = [object[]]@($Companion | ForEach-Object { New-Identity $_ })
    if ($null -ne $Process.SessionId) { $Record.windows_session = $Process.SessionId }
    $Record.phase = 'running'
    Save-Record $Order $Record
    return (Format-Launch $Order $Record $Changed)
}

function Resume-Launch {
    # The launch of a session that was started before, waited for where its
    # start is still under way. Starts and ends nothing.
    param([object] $Order)
    while ($true) {
        $task = Get-SessionTask $Order.SessionId | Select-Object -First 1
        if ($null -eq $task) { throw (New-Failure 'launch_failed' 'another start of this session has failed meanwhile') }
        $record = Get-SessionRecord $Order.SessionId $task
        $snapshot = @(Get-ProcessSnapshot)
        $found = Get-LaunchState $record $task $snapshot
        if ($found.State -eq 'gone') { throw (New-Failure 'launch_ended' 'the session was started before and its process has ended') }
        if ($found.State -eq 'running') {
            if ($record.phase -eq 'running') { return (Format-Launch $Order $record $false) }
            $record.known = [object[]]@($found.Known)
            $process = Find-Process $snapshot $found.Launch
            return (Complete-Launch $Order $record $process $found.Companions $false)
        }
        if ([datetime]::UtcNow -ge $Order.Deadline) {
            throw (New-Failure 'not_ready' 'the session was started before and is not ready yet')
        }
        Start-Sleep -Milliseconds 250
    }
}

function Format-Launch {
    # The script's answer.
    param([object] $Order, [object] $Record, [bool] $Changed)
    $answer = [ordered]@{ changed = $Changed; warnings = [object[]]@($Order.Warnings); session_id = $Order.SessionId }
    $identity = [ordered]@{ pid = $null; created_at = $null; image = $null }
    if ($null -ne $Record.launch) { $identity = Format-Identity $Record.launch }
    foreach ($name in @($identity.Keys)) { $answer[$name] = $identity[$name] }
    $answer['companions'] = [object[]]@($Record.companions | ForEach-Object { Format-Identity $_ })
    $answer['desktop_user'] = $Record.desktop_user
    $answer['windows_session'] = $Record.windows_session
    $answer['task'] = "$TaskFolder$($Order.SessionId)"
    $answer['stream_port'] = $Order.StreamPort
    return $answer
}
