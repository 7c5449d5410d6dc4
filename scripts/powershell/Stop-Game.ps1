<#
.SYNOPSIS
    Ends a session's processes and removes its tasks, firewall rules and files.
.DESCRIPTION
    Ends only what is the session's: a process counts by PID, creation time and
    image together. Windows are asked to close by a second task in the player's
    session, because from here none of them can be reached; what is left after
    GraceSec is ended by force, children before parents, a GamingAnywhere server
    before its game. Safe to repeat.
.PARAMETER SessionId
    The session's id.
.PARAMETER ProcessId
    PID of the launch; with CreatedAt and Image, or none of the three. Without
    them the server's own record of the session is used.
.PARAMETER CreatedAt
    Creation time of the launch, UTC, ISO 8601.
.PARAMETER Image
    Executable of the launch, full path or name.
.PARAMETER GraceSec
    How long a window may take to close before force, in seconds.
.PARAMETER Sunshine
    For a session in mode sunshine: port, user and password of Sunshine.
.OUTPUTS
    A dictionary with session_id, how (graceful, forced or already_gone) and
    ended, a list of pid and image.
.EXAMPLE
    .\Stop-Game.ps1 -SessionId 0b7c4d1e -GraceSec 5
#>
# Needs: Common.ps1
# Needs: Process.ps1
# Needs: Firewall.ps1
# Needs: Session.ps1
# Needs: Desktop.ps1
# Needs: Launch.ps1
# Needs: Sunshine.ps1
# Needs: Stop.ps1
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [Parameter(Mandatory = $true)]
    [ValidatePattern('^[A-Za-z0-9-]{1,64}$')]
    [string] $SessionId,

    [ValidateRange(0, 2147483647)]
    [int] $ProcessId = 0,

    [object] $CreatedAt,

    [string] $Image,

    [ValidateRange(0, 600)]
    [int] $GraceSec = 10,

    [object] $Sunshine
)

$asked = New-AskedIdentity $ProcessId $CreatedAt $Image
$task = Get-SessionTask $SessionId | Select-Object -First 1
$record = Get-SessionRecord $SessionId $task
if (Test-SunshineSession $record $asked) {
    if (-not $PSCmdlet.ShouldProcess("$TaskFolder$SessionId", 'End the session')) { return (Format-Untouched $SessionId) }
    return (Stop-Sunshine $SessionId $record $asked $Sunshine)
}
$snapshot = @(Get-ProcessSnapshot)
$roots = @(Get-SessionRoot $record $snapshot $asked)
if ($null -ne $asked) { Assert-Identity $SessionId $asked $record $roots $snapshot }

if (-not $PSCmdlet.ShouldProcess("$TaskFolder$SessionId", 'End the session')) { return (Format-Untouched $SessionId) }
return (Complete-Stop $SessionId $record $roots $asked $GraceSec)
