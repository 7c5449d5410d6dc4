<#
.SYNOPSIS
    Runs calls of our bootstrap one after another in one PowerShell.
.DESCRIPTION
    The first line of stdin is the bootstrap, each other one a call: the state's
    file, the drive's folder and what the bootstrap would read, all in base64.
    Only where it reads stdin and where it exits does the bootstrap differ.
.OUTPUTS
    An envelope a call.
.EXAMPLE
    pwsh -File scenario_driver.ps1 -Module WindowsStandIns.psm1
#>
[CmdletBinding()]
param([string] $Module)

function Get-Text {
    param([string] $Base64)
    [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($Base64))
}

function Get-NoLock { $null }

# The calls are for servers of their own, which share no lock.
Set-Alias -Name Enter-StartLock -Value Get-NoLock
$source = Get-Text ([Console]::In.ReadLine())
$source = $source.Replace('[Console]::In.ReadToEnd()', '$standInCall').Replace('exit [int](-not $answer.ok)', '')
$bootstrap = [scriptblock]::Create($source)
while ($null -ne ($line = [Console]::In.ReadLine())) {
    $state, $drive, $standInCall = @($line.Split(' ') | ForEach-Object { Get-Text $_ })
    $env:ORCHESTRATOR_STANDINS_STATE = $state
    $env:ORCHESTRATOR_STANDINS_DRIVE = $drive
    if (Get-PSDrive -Name C -ErrorAction SilentlyContinue) { Remove-PSDrive -Name C -Force }
    Import-Module $Module -Force -Global
    & $bootstrap
}
