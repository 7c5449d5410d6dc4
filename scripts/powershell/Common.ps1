<#
.SYNOPSIS
    Errors, times, paths, quoting and JSON for the scripts of this folder.
.DESCRIPTION
    Loaded by the bootstrap before a script that says "# Needs: Common.ps1".
    Paths are taken apart as strings, because Join-Path and Split-Path follow
    the system they run on and these are always Windows paths.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Common.ps1
#>
#Requires -Version 5.1

function New-Failure {
    # An ErrorRecord to throw; Code is one of docs/scripts.md.
    param([string] $Code, [string] $Message)
    $exception = New-Object System.InvalidOperationException $Message
    New-Object System.Management.Automation.ErrorRecord $exception, $Code, 'NotSpecified', $null
}

function Test-AccessDenied {
    # Whether an error means that Windows denied it.
    param([System.Management.Automation.ErrorRecord] $Problem)
    if ($Problem.CategoryInfo.Category -eq 'PermissionDenied') { return $true }
    if ($Problem.Exception.HResult -eq -2147024891) { return $true }
    return ([string]$Problem.FullyQualifiedErrorId -match '0x80070005|0x80041003')
}

function Get-OptionalProperty {
    # A property that may be missing, which strict mode would not forgive.
    param([object] $InputObject, [string] $Name, [object] $Default = $null)
    if ($null -eq $InputObject) { return $Default }
    if ($InputObject -is [System.Collections.IDictionary]) {
        if ($InputObject.Contains($Name) -and $null -ne $InputObject[$Name]) { return $InputObject[$Name] }
        return $Default
    }
    $property = $InputObject.PSObject.Properties[$Name]
    if ($null -eq $property -or $null -eq $property.Value) { return $Default }
    return $property.Value
}

function Get-UtcNow {
    # The time, for all that waits, measures or compares.
    return [datetime]::UtcNow
}

function ConvertTo-UtcTime {
    # A time as UTC, from what JSON, WMI and callers give; null where there is none.
    # Text without a zone is taken as UTC, a DateTime without one as local.
    param([object] $Value)
    if ($null -eq $Value -or [string]$Value -eq '') { return $null }
    if ($Value -is [datetime]) { return $Value.ToUniversalTime() }
    if ($Value -is [datetimeoffset]) { return $Value.UtcDateTime }
    $text = [string]$Value
    $invariant = [System.Globalization.CultureInfo]::InvariantCulture
    if ($text -match '^(\d{14}\.\d{6})([+-]\d{3})$') {
        $offset = [int]$Matches[2]
        $local = [datetime]::ParseExact($Matches[1], 'yyyyMMddHHmmss.ffffff', $invariant)
        return [datetime]::SpecifyKind($local.AddMinutes(-$offset), 'Utc')
    }
    $styles = [System.Globalization.DateTimeStyles]::AssumeUniversal
    return [datetimeoffset]::Parse($text, $invariant, $styles).UtcDateTime
}

function Format-UtcTime {
    # ISO 8601 in UTC with 100 ns, or null.
    param([object] $Value)
    if ($null -eq $Value) { return $null }
    $invariant = [System.Globalization.CultureInfo]::InvariantCulture
    return $Value.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ss.fffffffZ', $invariant)
}

function ConvertTo-WindowsPath {
    # Backslashes only, none at the end but after a drive.
    param([string] $Path)
    $plain = $Path.Trim().Replace('/', '\')
    if ($plain.Length -gt 3) { $plain = $plain.TrimEnd('\') }
    return $plain
}

function Test-AbsolutePath {
    # Whether a path names a drive or a share.
    param([string] $Path)
    return ($Path -match '^([A-Za-z]:\\|\\\\[^\\]+\\[^\\]+)')
}

function Get-LeafName {
    # The last part of a Windows path.
    param([string] $Path)
    return $Path.Substring($Path.LastIndexOf('\') + 1)
}

function Get-ParentPath {
    # All but the last part of a Windows path; a drive keeps its backslash.
    param([string] $Path)
    $cut = $Path.LastIndexOf('\')
    if ($cut -lt 0) { return '' }
    if ($cut -eq 2) { return $Path.Substring(0, 3) }
    return $Path.Substring(0, $cut)
}

function Join-WindowsPath {
    # A folder and a name, joined by one backslash.
    param([string] $Folder, [string] $Name)
    return $Folder.TrimEnd('\') + '\' + $Name
}

function Test-SameImage {
    # Compares as Windows does: by full path where both have one, else by name.
    param([string] $Left, [string] $Right)
    $a = ConvertTo-WindowsPath $Left
    $b = ConvertTo-WindowsPath $Right
    if ($a.Contains('\') -and $b.Contains('\')) { return ($a -eq $b) }
    return ((Get-LeafName $a) -eq (Get-LeafName $b))
}

function ConvertTo-CommandLine {
    # Arguments as one line that CommandLineToArgvW takes apart again: quoted
    # where there is a space or a quote, with the backslashes that stand before
    # a quote doubled.
    param([string[]] $Argument)
    $words = @(foreach ($word in $Argument) {
        if ($word -ne '' -and $word -notmatch '[\s"]') { $word }
        else { '"' + (($word -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1') + '"' }
    })
    return ($words -join ' ')
}

function ConvertTo-AsciiJson {
    # One line of JSON without a character that a code page could break.
    param([object] $InputObject)
    $json = ConvertTo-Json -InputObject $InputObject -Depth 8 -Compress
    return [regex]::Replace($json, '[^\x20-\x7e]', { param($m) '\u{0:x4}' -f [int][char]$m.Value })
}
