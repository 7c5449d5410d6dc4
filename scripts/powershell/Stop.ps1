<#
.SYNOPSIS
    The steps of an end, for Stop-Game.ps1 and Remove-Launch.ps1.
.DESCRIPTION
    Needs Common.ps1, Process.ps1, Firewall.ps1, Session.ps1, Desktop.ps1 and
    Launch.ps1.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Stop.ps1
#>
#Requires -Version 5.1

function New-AskedIdentity {
    # The launch that the caller names, or null where it names none.
    param([int] $ProcessId, [object] $CreatedAt, [string] $Image)
    $given = @(($ProcessId -gt 0), ([string]$CreatedAt -ne ''), ($Image -ne '')) | Where-Object { $_ }
    $count = @($given).Count
    if ($count -eq 0) { return $null }
    if ($count -lt 3) { throw (New-Failure 'bad_parameter' 'ProcessId, CreatedAt and Image belong together: give all three or none') }
    try { $created = ConvertTo-UtcTime $CreatedAt }
    catch { throw (New-Failure 'bad_parameter' "CreatedAt must be a time as 2026-01-31T08:15:00.123456Z, not '$CreatedAt'") }
    [pscustomobject]@{ Id = $ProcessId; Created = $created; Image = $Image; Seen = [datetime]::MinValue }
}

function Get-SessionRoot {
    # Identities of all that a session is known to have here. Where the caller
    # names the launch and no record does, a game that its task tells by nothing
    # but the image is not looked for: another session may have the same.
    param([object] $Record, [object[]] $Snapshot, [object] $Asked)
    if ($null -ne $Asked) { $Asked }
    if ($null -eq $Record) { return }
    if ($null -ne $Record.launch) { $Record.launch }
    $Record.companions
    if ($null -ne $Asked -and $null -eq $Record.launch -and -not $Record.marker) { return $Record.known }
    (Find-Launch $Snapshot $Record @(Get-OtherSessionKey $Record.session_id)).Known
}

function Assert-Identity {
    # The process that has the PID must be the one that was asked for. Where it
    # is not, nothing is ended; and where nothing of the session lives either,
    # its task and files are of no more use.
    param([string] $SessionId, [object] $Asked, [object] $Record, [object[]] $Root, [object[]] $Snapshot)
    $problem = Get-IdentityProblem $Asked $Snapshot
    if ($null -eq $problem) { return }
    if (-not $WhatIfPreference -and @(Get-ProcessTree $Snapshot $Root).Count -eq 0) {
        $null = Remove-SessionTrace $SessionId $Record $false
    }
    throw $problem
}

function Stop-Session {
    # Ends the living processes of a session. Answers How, Ended and Warnings.
    param([string] $SessionId, [object] $Record, [object[]] $Root, [int] $GraceSec)
    $ended = [ordered]@{}
    $warnings = @()
    $how = 'already_gone'
    $living = @(Get-ProcessTree @(Get-ProcessSnapshot) $Root)
    $servers = @($living | Where-Object { $_.Name -eq 'ga-server-periodic.exe' })
    if ($servers.Count -gt 0 -and $servers.Count -lt $living.Count) {
        foreach ($process in @(Stop-ProcessTree @($servers | ForEach-Object { New-Identity $_ }))) { $ended[(Get-ProcessKey $process)] = $process }
        $how = 'forced'
    }
    $rest = @($living | Where-Object { -not $ended.Contains((Get-ProcessKey $_)) })
    $Root = @($Root) + @($living | ForEach-Object { New-Identity $_ })
    if ($rest.Count -gt 0) {
        $how = 'graceful'
        foreach ($process in $rest) { $ended[(Get-ProcessKey $process)] = $process }
        if ($GraceSec -gt 0) { $warnings += @(Close-Window $SessionId $Record $rest $Root $GraceSec) }
        $forced = @(Stop-ProcessTree $Root)
        foreach ($process in $forced) { $ended[(Get-ProcessKey $process)] = $process }
        if ($forced.Count -gt 0) { $how = 'forced' }
    }
    return [pscustomobject]@{ How = $how; Ended = @($ended.Values); Warnings = $warnings }
}

function Close-Window {
    # Asks the windows of processes to close, by a task in the player's session,
    # and waits. Answers why they could not be asked, or nothing.
    param([string] $SessionId, [object] $Record, [object[]] $Process, [object[]] $Root, [int] $GraceSec)
    $user = ''
    if ($null -ne $Record) { $user = $Record.desktop_user }
    $name = "$SessionId.close"
    $line = @($Process | ForEach-Object { "/PID $($_.Id)" }) -join ' '
    try {
        if (-not $user) { $user = (Find-Desktop @(Get-ProcessSnapshot)).User }
        $null = Remove-SessionTask $name $false
        $isElevated = $null -ne $Record -and $Record.elevated
        $null = Register-SessionTask $name 'taskkill.exe' $line '' $user $isElevated
        Start-SessionTask $name
    }
    catch { return "the window could not be asked to close: $($_.Exception.Message)" }
    $deadline = (Get-UtcNow).AddSeconds($GraceSec)
    while ((Get-UtcNow) -lt $deadline) {
        if (@(Get-ProcessTree @(Get-ProcessSnapshot) $Root).Count -eq 0) { return }
        Start-Sleep -Milliseconds 200
    }
}

function Complete-Stop {
    # Ends a session's processes, removes its traces, and says what was done.
    # What a task runs is ended through the task only where no process of the
    # session was ever known.
    param([string] $SessionId, [object] $Record, [object[]] $Root, [object] $Asked, [int] $GraceSec)
    $outcome = Stop-Session $SessionId $Record $Root $GraceSec
    $isUnknown = $null -eq $Asked -and ($null -eq $Record -or $null -eq $Record.launch)
    $trace = Remove-SessionTrace $SessionId $Record $isUnknown
    return [ordered]@{
        changed    = $outcome.Ended.Count -gt 0 -or $trace.Removed
        warnings   = [object[]]@($outcome.Warnings + $trace.Warnings)
        session_id = $SessionId
        how        = $outcome.How
        ended      = [object[]]@($outcome.Ended | ForEach-Object { [ordered]@{ pid = $_.Id; image = Get-Image $_ } })
    }
}

function Format-Untouched {
    # The answer of a stop that was only asked what it would do.
    param([string] $SessionId)
    return [ordered]@{ changed = $false; warnings = [object[]]@(); session_id = $SessionId; how = 'already_gone'; ended = [object[]]@() }
}
