<#
.SYNOPSIS
    Tells what became of sessions on this server.
.DESCRIPTION
    Looks at the tasks in \Orchestrator\, their records and the processes that
    run. Changes nothing, so it is safe at any time, also while a start of the
    session is under way.
.PARAMETER SessionId
    The session to look for. Without it every session that has a task here.
.OUTPUTS
    A dictionary with launches: a list of session_id, state (starting, running
    or gone), pid, created_at, image and companions.
.EXAMPLE
    .\Get-Launch.ps1 -SessionId 0b7c4d1e
#>
# Needs: Common.ps1
# Needs: Process.ps1
# Needs: Firewall.ps1
# Needs: Session.ps1
# Needs: Launch.ps1
#Requires -Version 5.1
[CmdletBinding()]
param(
    [ValidatePattern('^[A-Za-z0-9-]{1,64}$')]
    [string] $SessionId
)

$tasks = @(Get-SessionTask $SessionId)
if ($SessionId) { $tasks += @(Get-SessionTask "$SessionId.game") }
$tasks = @($tasks | Where-Object { $_.TaskName -match '^[A-Za-z0-9-]{1,64}(\.game)?$' } | Sort-Object -Property TaskName)
$names = @($tasks | ForEach-Object { $_.TaskName })
$snapshot = @(Get-ProcessSnapshot)
$launches = @(foreach ($task in $tasks) {
    $session = $task.TaskName -replace '\.game$', ''
    if ($session -ne $task.TaskName -and $names -contains $session) { continue }
    $record = Get-SessionRecord $session $task
    $found = Get-LaunchState $record $task $snapshot
    $launch = [ordered]@{ session_id = $record.session_id; state = $found.State; pid = $null; created_at = $null; image = $null }
    if ($null -ne $found.Launch) {
        $identity = Format-Identity $found.Launch
        foreach ($name in @($identity.Keys)) { $launch[$name] = $identity[$name] }
    }
    $launch['companions'] = [object[]]@($found.Companions | ForEach-Object { Format-Identity $_ })
    $launch
})
return [ordered]@{ changed = $false; warnings = [object[]]@(); launches = [object[]]$launches }
