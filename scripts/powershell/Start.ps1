<#
.SYNOPSIS
    The steps of a start, for Start-Game.ps1.
.DESCRIPTION
    Needs Common.ps1, Process.ps1, Session.ps1, Firewall.ps1, Launch.ps1 and
    Order.ps1.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Start.ps1
#>
#Requires -Version 5.1

function Enter-StartLock {
    # One start at a time until its process is found, or two of the same game
    # could not be told apart. Null where there is no lock to be had.
    param([object] $Order)
    try { $mutex = New-Object System.Threading.Mutex $false, 'Global\OrchestratorStart' }
    catch { return $null }
    $left = [int][math]::Max(0, ($Order.Deadline - (Get-UtcNow)).TotalMilliseconds)
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
        if ($Order.PlayerAddress) { Add-PlayerRule $Order }
        New-SessionConfig $Order $Record
        $lock = Enter-StartLock $Order
        $found = Start-SessionProcess $Order $Record
        $Record.found_at = Get-UtcNow
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
    $Record.started_at = Get-UtcNow
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
    $watch = @{ Key = ''; Now = $null; Since = $null; GoneSince = $null; Seen = ($Record.known.Count -gt 0) }
    while ($true) {
        $watch.Now = Get-UtcNow
        $snapshot = @(Get-ProcessSnapshot)
        $found = Find-Launch $snapshot $Record $claimed
        $Record.known = [object[]]@($found.Known)
        $isLate = (Get-UtcNow) -ge $Order.Deadline
        if ($null -ne $found.Launch -and -not $IsReady) { return $found }
        Assert-Alive $Order $Record $found $watch $TaskName
        if ($found.IsReady -and $null -eq $watch.GoneSince -and (Test-Steady $found.Launch $Record $watch $isLate)) { return $found }
        if ($isLate) { throw (Get-LateFailure $Order $Record $found $TaskName $snapshot) }
        Start-Sleep -Milliseconds 200
    }
}

function Test-Steady {
    # Whether the same launch has lived long enough where there is no port to
    # tell that it is ready: by the time it was looked at, however long that took.
    param([object] $Process, [object] $Record, [hashtable] $Watch, [bool] $IsLate)
    $key = Get-ProcessKey $Process
    if ($Watch.Key -ne $key) {
        $Watch.Key = $key
        $Watch.Since = $Watch.Now
    }
    return $Record.ready -eq 'port' -or $IsLate -or $Watch.Now -ge $Watch.Since.AddSeconds($SettleSec)
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
    if ($null -eq $Watch.GoneSince) { $Watch.GoneSince = Get-UtcNow }
    $gone = ((Get-UtcNow) - $Watch.GoneSince).TotalSeconds
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
    $told = "$($Found.Launch.Name) (PID $($Found.Launch.Id)) runs but nothing listens on port $($Order.StreamPort)"
    if ($Order.Mode -eq 'process') { $told += " (a game that opens none needs ready: process in its mode's settings)" }
    return (New-Failure 'not_ready' (Join-Detail (@($told) + $details)))
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
    try { $null = Remove-SessionTrace $Record.session_id $Record $true }
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
        if ((Get-UtcNow) -ge $Order.Deadline) {
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
