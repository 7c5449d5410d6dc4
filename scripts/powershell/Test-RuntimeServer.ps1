<#
.SYNOPSIS
    Tells what this server lacks before it can run games for the broker.
.DESCRIPTION
    Looks at PowerShell, Windows, rights, quotas, desktop, GamingAnywhere,
    counters, ports, disk and clock. An item that cannot be looked at is
    not_measured; the others are told all the same. To know what the account
    may do it registers a task without running it and writes a file, and
    removes both; -WhatIf leaves that out.
.PARAMETER BrokerTime
    The broker's time now, UTC, ISO 8601.
.PARAMETER GaDirectory
    GamingAnywhere's programs.
.PARAMETER ConfigDirectory
    GamingAnywhere's .conf files.
.PARAMETER Modes
    Modes that games are started in here; without it all.
.PARAMETER FirstPort
    First port for streams.
.PARAMETER LastPort
    Last port for streams.
.OUTPUTS
    A dictionary with computer, account, verdict (the worst of all) and items: a
    list of name, verdict (ok, warning, problem, not_measured), found, remedy.
.EXAMPLE
    .\Test-RuntimeServer.ps1 -FirstPort 8554 -LastPort 8653
#>
# Needs: Common.ps1
# Needs: File.ps1
# Needs: Process.ps1
# Needs: Firewall.ps1
# Needs: Session.ps1
# Needs: Desktop.ps1
# Needs: Check.ps1
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [string] $BrokerTime = '',

    [string] $GaDirectory = 'C:\GamingAnywhere\bin',

    [string] $ConfigDirectory = 'C:\GamingAnywhere\config',

    [string[]] $Modes = @(),

    [ValidateRange(1, 65535)]
    [int] $FirstPort = 8554,

    [ValidateRange(1, 65535)]
    [int] $LastPort = 8653
)

if ($Modes.Count -eq 0) { $Modes = @('periodic', 'event-driven', 'process', 'sunshine') }
$isTried = $PSCmdlet.ShouldProcess($TaskFolder, 'Register and remove a task, write and remove a file')
$account = "$env:USERDOMAIN\$env:USERNAME".TrimStart('\')
$clock = @(Invoke-Check 'clock' { Measure-Clock $BrokerTime })
$snapshot = @()
$items = @(Invoke-Check 'powershell' { Measure-PowerShell })
try { $snapshot = @(Get-ProcessSnapshot) }
catch { $items += New-CheckItem 'processes' 'problem' $_.Exception.Message 'the account needs Remote Enable on root\cimv2, and the Windows Management Instrumentation service must run' }
$items += @(Invoke-Check 'windows' { Measure-WindowsVersion })
$items += @(Invoke-Check 'rights' { Measure-Right $account })
$items += @(Invoke-Check 'quotas' { Measure-Quota })
$items += @(Invoke-Check 'ntlm' { Measure-Ntlm })
$items += @(Invoke-Check 'desktop' { Measure-Desktop $snapshot $isTried })
$items += @(Invoke-Check 'records' { Measure-RecordFolder $isTried })
$items += @(Invoke-Check 'gaminganywhere' { Measure-GamingAnywhere $GaDirectory $ConfigDirectory $Modes })
$items += @(Invoke-Check 'gpu_counters' { Measure-Counter })
$items += @(Invoke-Check 'ports' { Measure-Port $FirstPort $LastPort $snapshot })
$items += @(Invoke-Check 'disk' { Measure-Disk @($GaDirectory, $ConfigDirectory) })
$items += $clock

$worst = 'ok'
foreach ($verdict in @('not_measured', 'warning', 'problem')) {
    if (@($items | Where-Object { $_.verdict -eq $verdict }).Count -gt 0) { $worst = $verdict }
}
return [ordered]@{
    changed  = $false
    warnings = [object[]]@()
    computer = [string]$env:COMPUTERNAME
    account  = $account
    verdict  = $worst
    items    = [object[]]$items
}
