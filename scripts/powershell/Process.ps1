<#
.SYNOPSIS
    Processes, their identity, their trees and who listens on a port.
.DESCRIPTION
    Needs Common.ps1. A process is described by an object with Id, ParentId,
    Name, Path, CommandLine, SessionId and Created (UTC); an identity by one
    with Id, Created, Image and Seen, the last time it was known to live. What
    Windows does not tell is null or empty.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Process.ps1
#>
#Requires -Version 5.1

$CreationTolerance = [timespan]::FromMilliseconds(50)
$NeverTheGame = @('conhost.exe', 'werfault.exe')

function Get-ProcessSnapshot {
    # Every process, read once.
    foreach ($process in @(Get-CimInstance -ClassName Win32_Process -ErrorAction Stop)) {
        [pscustomobject]@{
            Id          = [int](Get-OptionalProperty $process 'ProcessId' 0)
            ParentId    = [int](Get-OptionalProperty $process 'ParentProcessId' 0)
            Name        = [string](Get-OptionalProperty $process 'Name' '')
            Path        = [string](Get-OptionalProperty $process 'ExecutablePath' '')
            CommandLine = [string](Get-OptionalProperty $process 'CommandLine' '')
            SessionId   = Get-OptionalProperty $process 'SessionId'
            Created     = ConvertTo-UtcTime (Get-OptionalProperty $process 'CreationDate')
            Source      = $process
        }
    }
}

function Get-Image {
    # A process's full path, or its name where Windows does not tell the path.
    param([object] $Process)
    if ($Process.Path) { return $Process.Path }
    return $Process.Name
}

function New-Identity {
    # The identity of a process that lives now.
    param([object] $Process)
    [pscustomobject]@{
        Id      = $Process.Id
        Created = $Process.Created
        Image   = Get-Image $Process
        Seen    = Get-UtcNow
    }
}

function Format-Identity {
    # An identity or process as scripts answer it.
    param([object] $Identity)
    $image = Get-OptionalProperty $Identity 'Image'
    if ($null -eq $image) { $image = Get-Image $Identity }
    return [ordered]@{ pid = $Identity.Id; created_at = Format-UtcTime $Identity.Created; image = [string]$image }
}

function Get-ProcessKey {
    # Names a process among all that ever ran.
    param([object] $Process)
    if ($null -eq $Process.Created) { return "$($Process.Id)@" }
    return "$($Process.Id)@$($Process.Created.Ticks)"
}

function Test-SameTime {
    # Whether two readings of a creation time may be of one process.
    param([object] $Left, [object] $Right)
    if ($null -eq $Left -or $null -eq $Right) { return $true }
    return (($Left - $Right).Duration() -le $CreationTolerance)
}

function Test-SameProcess {
    # Whether a process is the one that an identity names: PID, creation, image.
    param([object] $Process, [object] $Identity)
    return ($Process.Id -eq $Identity.Id) -and
        (Test-SameTime $Process.Created $Identity.Created) -and
        (Test-SameImage (Get-Image $Process) $Identity.Image)
}

function Find-Process {
    # The living process of an identity, or null.
    param([object[]] $Snapshot, [object] $Identity)
    if ($null -eq $Identity) { return $null }
    foreach ($process in $Snapshot) {
        if ($process.Id -eq $Identity.Id -and (Test-SameProcess $process $Identity)) { return $process }
    }
    return $null
}

function Test-ProcessImage {
    # Whether a process runs the program at Path. Its own path may be spelt
    # otherwise (a junction, an 8.3 name): then its command line decides.
    param([object] $Process, [string] $Path)
    if ($Process.Name -and $Process.Name -ne (Get-LeafName $Path)) { return $false }
    if (-not $Process.Path) { return ($Process.Name -eq (Get-LeafName $Path)) }
    if (Test-SameImage $Process.Path $Path) { return $true }
    return ($Process.CommandLine.IndexOf($Path, [StringComparison]::OrdinalIgnoreCase) -ge 0)
}

function Test-Child {
    # Whether Child was started by the process that Parent names. Windows reuses
    # the PID of a parent that is gone, so a dead one has only the children that
    # it had by the time it was last seen.
    param([object] $Child, [object] $Parent, [bool] $IsAlive)
    if ($Child.ParentId -ne $Parent.Id -or $Child.Id -eq $Parent.Id) { return $false }
    if ($null -eq $Child.Created -or $null -eq $Parent.Created) { return $IsAlive }
    if ($Child.Created -lt $Parent.Created.Subtract($CreationTolerance)) { return $false }
    return $IsAlive -or ($Child.Created -le $Parent.Seen.AddSeconds(2))
}

function Get-ProcessTree {
    # The living processes among Root (identities) and all that they started.
    param([object[]] $Snapshot, [object[]] $Root)
    $members = @{}
    $parents = New-Object System.Collections.Queue
    foreach ($identity in $Root) {
        $process = Find-Process $Snapshot $identity
        if ($null -eq $process) { $parents.Enqueue(@($identity, $false)) }
        elseif (-not $members.ContainsKey($process.Id)) {
            $members[$process.Id] = $process
            $parents.Enqueue(@((New-Identity $process), $true))
        }
    }
    while ($parents.Count -gt 0) {
        $parent, $isAlive = $parents.Dequeue()
        foreach ($process in $Snapshot) {
            if ($process.ParentId -ne $parent.Id -or $members.ContainsKey($process.Id) -or $NeverTheGame -contains $process.Name) { continue }
            if (-not (Test-Child $process $parent $isAlive)) { continue }
            $members[$process.Id] = $process
            $parents.Enqueue(@((New-Identity $process), $true))
        }
    }
    return $members.Values | Sort-Object -Property Created, Id
}

function Get-PortOwner {
    # PIDs that listen on a TCP port; 0 stands for one that is not told.
    param([int] $Port)
    if ($Port -le 0) { return }
    $listeners = @()
    try { $listeners = @(Get-NetTCPConnection -State Listen -LocalPort $Port -ErrorAction SilentlyContinue) }
    catch { if ($_.CategoryInfo.Category -ne 'ObjectNotFound') { throw } }
    foreach ($listener in $listeners) {
        if ($null -ne $listener) { [int](Get-OptionalProperty $listener 'OwningProcess' 0) }
    }
}

function Stop-ProcessTree {
    # Ends what lives of Root (identities) by force, children before parents,
    # and waits until it is gone. Answers the processes that were ended.
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([object[]] $Root, [int] $TimeoutSec = 10)
    $deadline = (Get-UtcNow).AddSeconds($TimeoutSec)
    $roots = @($Root)
    $ended = [ordered]@{}
    $reason = ''
    while ($true) {
        $living = @(Get-ProcessTree @(Get-ProcessSnapshot) $roots)
        if ($living.Count -eq 0) { break }
        if ((Get-UtcNow) -ge $deadline) {
            $names = @($living | ForEach-Object { "$($_.Name) (PID $($_.Id))" }) -join ', '
            throw (New-Failure 'stop_failed' "still running after being ended by force: $names. $reason")
        }
        foreach ($process in @($living | Sort-Object -Property Created, Id -Descending)) {
            if (-not $PSCmdlet.ShouldProcess("$($process.Name) (PID $($process.Id))", 'End by force')) { continue }
            try { Stop-Process -Id $process.Id -Force -ErrorAction Stop }
            catch { $reason = $_.Exception.Message }
            $ended[(Get-ProcessKey $process)] = $process
        }
        if ($WhatIfPreference) { break }
        $roots += @($living | ForEach-Object { New-Identity $_ })
        Start-Sleep -Milliseconds 150
    }
    return $ended.Values
}

function Get-IdentityProblem {
    # The failure to throw where a process has the PID that was asked for but is
    # another one; else null.
    param([object] $Asked, [object[]] $Snapshot)
    if ($null -eq $Asked) { return $null }
    $process = $Snapshot | Where-Object { $_.Id -eq $Asked.Id } | Select-Object -First 1
    if ($null -eq $process -or (Test-SameProcess $process $Asked)) { return $null }
    $now = "$(Get-Image $process), created $(Format-UtcTime $process.Created)"
    $wanted = "$($Asked.Image), created $(Format-UtcTime $Asked.Created)"
    return (New-Failure 'identity_mismatch' "PID $($process.Id) is $now, not $wanted")
}

function Get-ProcessWord {
    # A PID in words.
    param([int] $Id, [object[]] $Snapshot)
    $process = @($Snapshot | Where-Object { $_.Id -eq $Id }) | Select-Object -First 1
    if ($null -eq $process) { return "PID $Id" }
    return "$(Get-Image $process) (PID $Id)"
}
