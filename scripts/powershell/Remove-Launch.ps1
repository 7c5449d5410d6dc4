<#
.SYNOPSIS
    Removes what is left on this server of a session that nobody knows any more.
.DESCRIPTION
    For a launch that Get-Launch found and the broker does not know. Who the
    session's processes are is told by the server's own record, else by the
    task: what of them lives is ended as by Stop-Game, and its tasks, firewall
    rules and files are removed. A process that merely has one's PID by now is
    left alone. Safe to repeat.
.PARAMETER SessionId
    The session's id.
.PARAMETER GraceSec
    How long a window may take to close before force, in seconds.
.PARAMETER Sunshine
    For a session in mode sunshine: port, user and password of Sunshine.
.OUTPUTS
    A dictionary with session_id, how (graceful, forced or already_gone) and
    ended, a list of pid and image.
.EXAMPLE
    .\Remove-Launch.ps1 -SessionId 0b7c4d1e
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

    [ValidateRange(0, 600)]
    [int] $GraceSec = 10,

    [object] $Sunshine
)

$task = Get-SessionTask $SessionId | Select-Object -First 1
$record = Get-SessionRecord $SessionId $task
if (Test-SunshineSession $record $null) {
    if (-not $PSCmdlet.ShouldProcess("$TaskFolder$SessionId", 'End the session')) { return (Format-Untouched $SessionId) }
    return (Stop-Sunshine $SessionId $record $null $Sunshine)
}
$roots = @(Get-SessionRoot $record @(Get-ProcessSnapshot) $null)

if (-not $PSCmdlet.ShouldProcess("$TaskFolder$SessionId", 'Remove the launch')) { return (Format-Untouched $SessionId) }
return (Complete-Stop $SessionId $record $roots $null $GraceSec)
