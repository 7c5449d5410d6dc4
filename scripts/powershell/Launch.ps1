<#
.SYNOPSIS
    Finds the processes of a session among those that run.
.DESCRIPTION
    Needs Common.ps1, Process.ps1 and Session.ps1. A process is a session's
    where it was found to be before, or where it is new (at a desktop, created
    after the start, not there before it, claimed by no other session) and its
    image, command line, parent or port says so.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Launch.ps1
#>
#Requires -Version 5.1

$SettleSec = 2

function Select-NewProcess {
    # The processes that a start may have brought about; none before the start.
    param([object[]] $Snapshot, [object] $Record, [string[]] $Claimed)
    if ($null -eq $Record.started_at) { return }
    $taken = @{}
    foreach ($key in @($Record.before) + @($Claimed)) { if ($key) { $taken[[string]$key] = $true } }
    $earliest = $Record.started_at.AddSeconds(-2)
    foreach ($process in $Snapshot) {
        if ([string]$process.SessionId -eq '0' -or $process.Id -le 4) { continue }
        if ($null -ne $process.Created -and $process.Created -lt $earliest) { continue }
        if ($taken.ContainsKey((Get-ProcessKey $process))) { continue }
        $process
    }
}

function Select-Program {
    # Those of New that the main task started, oldest first.
    param([object[]] $New, [object] $Record)
    foreach ($process in @($New | Sort-Object -Property Created, Id)) {
        if (-not (Test-ProcessImage $process $Record.program)) { continue }
        if (-not $Record.marker -and -not (Test-InTime $process $Record)) { continue }
        if ($Record.marker -and $process.CommandLine -and
            $process.CommandLine.IndexOf($Record.marker, [StringComparison]::OrdinalIgnoreCase) -lt 0) { continue }
        $process
    }
}

function Test-InTime {
    # Whether a process was there by the time the launch was found. The next
    # start of the same game on this server begins only then, so that what comes
    # later and has nothing but the image in common is another session's.
    param([object] $Process, [object] $Record)
    return ($null -eq $Record.found_at -or $null -eq $Process.Created -or $Process.Created -le $Record.found_at)
}

function Find-Launch {
    # What a session has now: Launch (a process or null), Companions, Known (all
    # identities found so far), IsReady, and Intruder, the PID of a stranger that
    # listens on the session's port, or 0. Once a launch was ready, only it and
    # what it started are the session's, whatever else has the same image.
    param([object[]] $Snapshot, [object] $Record, [string[]] $Claimed)
    $new = @()
    if ($Record.phase -ne 'running') { $new = @(Select-NewProcess $Snapshot $Record $Claimed) }
    $programs = @(Select-Program $new $Record)
    $roots = @($Record.known) + @($programs | ForEach-Object { New-Identity $_ })
    if ($Record.mode -eq 'periodic') {
        $roots += @($new | Where-Object { Test-Game $_ $Record } | ForEach-Object { New-Identity $_ })
    }
    $tree = @(Get-ProcessTree $Snapshot $roots)
    $owners = @()
    if ($Record.ready -eq 'port') { $owners = @(Get-PortOwner $Record.stream_port) }
    $launch = Find-Process $Snapshot $Record.launch
    if ($null -eq $launch -and $Record.phase -ne 'running') {
        $listening = @($new | Where-Object { $owners -contains $_.Id })
        $launch = Select-Launch $Record $new $tree $programs $listening
    }
    if ($null -ne $launch) { $tree = @(Get-ProcessTree $Snapshot ($roots + @(New-Identity $launch))) }
    $ids = @($tree | ForEach-Object { $_.Id })
    $strangers = @($owners | Where-Object { $_ -ne 0 -and $ids -notcontains $_ })
    $isReady = $null -ne $launch
    if ($isReady -and $Record.ready -eq 'port') { $isReady = $owners.Count -gt $strangers.Count }
    return [pscustomobject]@{
        Launch     = $launch
        Companions = @($tree | Where-Object { $null -eq $launch -or $_.Id -ne $launch.Id })
        Known      = @(Merge-Identity $Record.known $tree)
        IsReady    = $isReady
        Intruder   = [int]($strangers | Select-Object -First 1)
    }
}

function Select-Launch {
    # Which process is the launch. For periodic: the GamingAnywhere server. Else
    # the game: who listens on the port among what the task's program started,
    # then what has the game's image there, then any new process that listens
    # or has the image, then whatever the program started.
    param([object] $Record, [object[]] $New, [object[]] $Tree, [object[]] $Programs, [object[]] $Listening)
    if ($Record.mode -eq 'periodic') { return ($Programs | Select-Object -First 1) }
    $started = @($Tree)
    if (-not (Test-SameImage $Record.program $Record.game)) {
        $started = @($Tree | Where-Object { -not (Test-ProcessImage $_ $Record.program) })
    }
    $choices = @($started | Where-Object { Test-Among $_ $Listening }) +
        @($started | Where-Object { Test-Game $_ $Record }) +
        @($Listening | Where-Object { Test-Game $_ $Record }) +
        @($Listening) +
        @($New | Where-Object { Test-Game $_ $Record } | Sort-Object -Property Created, Id) +
        @($started)
    return ($choices | Select-Object -First 1)
}

function Test-Game {
    # Whether a process has the image of the record's game.
    param([object] $Process, [object] $Record)
    return ([bool]$Record.game -and (Test-InTime $Process $Record) -and (Test-ProcessImage $Process $Record.game))
}

function Test-Among {
    # Whether a process is one of others.
    param([object] $Process, [object[]] $Other)
    return (@($Other | Where-Object { $null -ne $_ -and $_.Id -eq $Process.Id }).Count -gt 0)
}

function Merge-Identity {
    # Identities found before, with those of the processes that live now.
    param([object[]] $Known, [object[]] $Living)
    $merged = [ordered]@{}
    foreach ($identity in @($Known)) { if ($null -ne $identity) { $merged[(Get-ProcessKey $identity)] = $identity } }
    foreach ($process in @($Living)) { if ($null -ne $process) { $merged[(Get-ProcessKey $process)] = New-Identity $process } }
    return $merged.Values
}

function Get-TaskRecord {
    # What can be told of a session without its record: from its task, and from
    # the port in its config copy.
    param([object] $Task, [string] $SessionId)
    $record = New-Record $SessionId
    $action = @(Get-OptionalProperty $Task 'Actions') | Select-Object -First 1
    $record.program = ([string](Get-OptionalProperty $action 'Execute' '')).Trim('"')
    $line = [string](Get-OptionalProperty $action 'Arguments' '')
    $leaf = Get-LeafName $record.program
    if ($line -eq $SunshineMarker) { $record.mode = 'sunshine' }
    elseif ($leaf -eq 'ga-server-periodic.exe') { $record.mode = 'periodic' }
    elseif ($leaf -eq 'ga-server-event-driven.exe') { $record.mode = 'event-driven' }
    else { $record.game = $record.program }
    if ($record.mode -eq 'periodic' -or $record.mode -eq 'event-driven') {
        $record.config = $line.Trim('"')
        $record.marker = $record.config
        $record.ready = 'port'
        $record.stream_port = [int]('0' + ((Get-ConfigValue $record.config 'server-port') -replace '\D', ''))
    }
    $record.has_rule = $true
    $record.started_at = Get-TaskStart ([string](Get-OptionalProperty $Task 'TaskName' $SessionId))
    return $record
}

function Get-TaskStart {
    # When a task was last started (UTC), or null.
    param([string] $Name)
    try { $info = Get-ScheduledTaskInfo -TaskName $Name -TaskPath $TaskFolder -ErrorAction Stop }
    catch { return $null }
    $started = ConvertTo-UtcTime (Get-OptionalProperty $info 'LastRunTime')
    if ($null -eq $started -or $started.Year -lt 2000) { return $null }
    return $started
}

function Get-SessionRecord {
    # A session's record: its own, else what its task tells, else null.
    param([string] $SessionId, [object] $Task)
    $record = Read-Record $SessionId
    if ($null -ne $record) { return $record }
    if ($null -eq $Task) { return $null }
    return (Get-TaskRecord $Task $SessionId)
}

function Get-LaunchState {
    # What became of a session: State (starting, running, gone), Launch (an
    # identity or null) and Companions (living processes).
    param([object] $Record, [object] $Task, [object[]] $Snapshot)
    $found = Find-Launch $Snapshot $Record @(Get-OtherSessionKey $Record.session_id)
    $state = 'gone'
    if ($null -ne $found.Launch) {
        $state = 'starting'
        if ($Record.phase -eq 'running' -or ($found.IsReady -and (Test-Settled $found.Launch $Record))) { $state = 'running' }
    }
    elseif ($Record.phase -ne 'running' -and (Test-StartUnderWay $Record $Task)) { $state = 'starting' }
    $identity = $Record.launch
    if ($null -ne $found.Launch) { $identity = New-Identity $found.Launch }
    return [pscustomobject]@{ State = $state; Launch = $identity; Companions = $found.Companions; Known = $found.Known }
}

function Test-Settled {
    # Whether a process without a port to wait for has lived long enough to
    # count as started.
    param([object] $Process, [object] $Record)
    if ($Record.ready -eq 'port' -or $null -eq $Process.Created) { return $true }
    return ((Get-UtcNow) -ge $Process.Created.AddSeconds($SettleSec))
}

function Test-StartUnderWay {
    # Whether a session without a process may still get one.
    param([object] $Record, [object] $Task)
    if ($null -eq $Record.started_at) { return $true }
    if (@('Running', 'Queued') -contains (Get-TaskState $Task)) { return $true }
    return ($null -ne $Record.ready_by -and (Get-UtcNow) -le $Record.ready_by)
}
