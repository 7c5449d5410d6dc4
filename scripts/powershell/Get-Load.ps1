<#
.SYNOPSIS
    Answers questions about load and processes from inside the server.
.DESCRIPTION
    For servers whose account may not ask WMI from afar. Each question is a WMI
    class with a filter, and its answer the rows with the properties asked for.
    A class that is missing or closed is an error of that question only. Changes
    nothing.
.PARAMETER Question
    A list of objects with class, filter (may be empty), namespace and columns.
.OUTPUTS
    A dictionary with answers: a list of rows and error, in the questions' order.
    Values are text, times ISO 8601 in UTC.
.EXAMPLE
    .\Get-Load.ps1 -Question @{ class = 'Win32_ComputerSystem'; filter = ''; namespace = 'root/cimv2'; columns = @('UserName') }
#>
# Needs: Common.ps1
#Requires -Version 5.1
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)]
    [object[]] $Question
)

$answers = @(foreach ($each in $Question) {
    $options = @{ ClassName = [string]$each.class; ErrorAction = 'Stop' }
    if ($each.filter) { $options['Filter'] = [string]$each.filter }
    if ($each.namespace -ne 'root/cimv2') { $options['Namespace'] = [string]$each.namespace }
    $found = @()
    $problem = $null
    try { $found = @(Get-CimInstance @options) }
    catch { $problem = [string]$_.Exception.Message }
    $rows = @(foreach ($instance in $found) {
        $row = [ordered]@{}
        foreach ($name in @($each.columns)) {
            $value = Get-OptionalProperty $instance $name
            if ($value -is [datetime]) { $value = Format-UtcTime (ConvertTo-UtcTime $value) }
            elseif ($null -ne $value) { $value = [string]$value }
            $row[$name] = $value
        }
        $row
    })
    [ordered]@{ rows = [object[]]$rows; error = $problem }
})
return [ordered]@{ changed = $false; warnings = [object[]]@(); answers = [object[]]$answers }
