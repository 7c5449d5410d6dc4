<#
.SYNOPSIS
    The steps of a start in mode sunshine, for Start-Game.ps1.
.DESCRIPTION
    Needs Common.ps1, Process.ps1, Firewall.ps1, Session.ps1, Launch.ps1,
    Order.ps1, Start.ps1 and Sunshine.ps1. Sunshine starts an app when a paired
    client asks for it, so that a start means that its REST interface lists the
    app; the launch is Sunshine's own process.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: SunshineStart.ps1
#>
#Requires -Version 5.1

function Add-SunshineApp {
    # Registers an order's app where Sunshine does not list one of that name;
    # answers whether it did.
    param([object] $Link, [object] $Order)
    if (@(Get-SunshineApp $Link | Where-Object { $_.Name -eq $Order.AppName }).Count -gt 0) { return $false }
    $folder = $Order.Directory
    if (-not $folder) { $folder = Get-ParentPath $Order.Executable }
    $null = Invoke-Sunshine $Link 'Post' 'apps' ([ordered]@{
        name                      = $Order.AppName
        output                    = ''
        cmd                       = ConvertTo-CommandLine (@($Order.Executable) + $Order.Arguments)
        'working-dir'             = $folder
        index                     = -1
        elevated                  = $Order.Elevated
        'exclude-global-prep-cmd' = $false
        'auto-detach'             = $true
        'wait-all'                = $true
        'exit-timeout'            = 5
        'prep-cmd'                = [object[]]@()
        detached                  = [object[]]@()
        'image-path'              = ''
        $SessionKey               = $Order.SessionId
    })
    return $true
}

function Start-SunshineLaunch {
    # Registers the session's task, which only marks it, and its app. A second
    # start of the session completes a first one that was cut off.
    param([object] $Order, [object] $Record, [object] $Link, [object] $Process)
    $changed = Register-SessionTask $Order.SessionId 'cmd.exe' $SunshineMarker '' $Record.desktop_user $false
    try {
        if ($Order.PlayerAddress) { Add-PlayerRule $Order }
        $Record.launch = New-Identity $Process
        Save-Record $Order $Record
        $changed = (Add-SunshineApp $Link $Order) -or $changed
        Wait-SunshineApp $Link $Order
    }
    catch {
        $problem = $_
        Undo-SunshineLaunch $Order $Record $Link
        throw $problem
    }
    return (Complete-Launch $Order $Record $Process @() $changed)
}

function Wait-SunshineApp {
    # Waits until Sunshine lists the app.
    param([object] $Link, [object] $Order)
    while (@(Get-SunshineApp $Link | Where-Object { $_.Name -eq $Order.AppName }).Count -eq 0) {
        if ((Get-UtcNow) -ge $Order.Deadline) { throw (New-Failure 'not_ready' "Sunshine took the app $($Order.AppName) but does not list it") }
        Start-Sleep -Milliseconds 250
    }
}

function Undo-SunshineLaunch {
    # Removes what a failed start left; its own error matters more.
    param([object] $Order, [object] $Record, [object] $Link)
    try { Remove-SunshineApp $Link $Order.SessionId }
    catch { Write-Verbose "undo: $($_.Exception.Message)" }
    try { $null = Remove-SessionTrace $Order.SessionId $Record $false }
    catch { Write-Verbose "undo: $($_.Exception.Message)" }
}

function Start-Sunshine {
    # A session's first start, from its order to its answer.
    param([object] $Order, [object] $Desktop, [object[]] $Snapshot)
    $link = Get-SunshineLink $Order.Sunshine
    $record = New-LaunchRecord $Order $Desktop
    $process = Get-SunshineProcess $link $Snapshot
    if (-not $PSCmdlet.ShouldProcess("$TaskFolder$($Order.SessionId)", "Register $($Order.AppName) in Sunshine")) {
        return (Format-Launch $Order $record $false)
    }
    return (Start-SunshineLaunch $Order $record $link $process)
}

function Resume-Sunshine {
    # The launch of a session that was started before; one that was cut off is
    # completed.
    param([object] $Order, [object] $Task)
    $link = Get-SunshineLink $Order.Sunshine
    $record = Get-SessionRecord $Order.SessionId $Task
    $snapshot = @(Get-ProcessSnapshot)
    if ($null -ne $record.launch -and $null -eq (Find-Process $snapshot $record.launch)) {
        throw (New-Failure 'launch_ended' 'the session was started before and Sunshine has ended or was restarted since')
    }
    if ($record.phase -eq 'running') { return (Format-Launch $Order $record $false) }
    return (Start-SunshineLaunch $Order $record $link (Get-SunshineProcess $link $snapshot))
}

function Get-SunshineProcess {
    # Sunshine's process, which must be there.
    param([object] $Link, [object[]] $Snapshot)
    $process = Find-Sunshine $Link $Snapshot
    if ($null -eq $process) { throw (New-Failure 'sunshine_unreachable' 'Sunshine does not run') }
    return $process
}
