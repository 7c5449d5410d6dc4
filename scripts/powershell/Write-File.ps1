<#
.SYNOPSIS
    Takes one piece of a file and, with the last, replaces the file.
.DESCRIPTION
    Pieces gather in NAME.<transfer>.part beside the file, where <transfer> is
    the beginning of the new content's SHA-256: so a transfer that broke goes on
    where it stopped, whoever sends it again, and a repeated piece is harmless.
    With the last piece the part's hash is checked and it takes the file's place
    in one step; what was there becomes NAME.bak. Where the file has the content
    already nothing is done. A transfer that cannot succeed removes its part.
.PARAMETER Path
    The file, absolute; its folder must be there.
.PARAMETER Offset
    Where the piece begins, in bytes.
.PARAMETER Content
    The piece, base64; empty for an empty file.
.PARAMETER Length
    Bytes of the whole content.
.PARAMETER Hash
    SHA-256 of the whole content.
.PARAMETER ExpectedHash
    SHA-256 that the file must have until it is replaced; "missing" where it
    must not be there; empty where it does not matter.
.PARAMETER KeepBackup
    Whether what was there is kept as NAME.bak.
.OUTPUTS
    A dictionary with path, length, hash, received (bytes that are there now:
    the next piece begins there), done, previous_hash and backup, a path or null.
.EXAMPLE
    .\Write-File.ps1 -Path C:\GamingAnywhere\config\chess.conf -Content $base64 -Length 512 -Hash $hash
#>
# Needs: Common.ps1
# Needs: File.ps1
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [Parameter(Mandatory = $true)]
    [ValidateLength(1, 240)]
    [string] $Path,

    [ValidateRange(0, 1099511627776)]
    [long] $Offset = 0,

    [string] $Content = '',

    [Parameter(Mandatory = $true)]
    [ValidateRange(0, 1099511627776)]
    [long] $Length,

    [Parameter(Mandatory = $true)]
    [ValidatePattern('^[0-9A-Fa-f]{64}$')]
    [string] $Hash,

    [ValidatePattern('^([0-9A-Fa-f]{64}|missing)?$')]
    [string] $ExpectedHash = '',

    [bool] $KeepBackup = $true
)

$name = Assert-FilePath $Path
$wanted = $Hash.ToLowerInvariant()
$expected = $ExpectedHash.ToLowerInvariant()
$transfer = "$name.$($wanted.Substring(0, 16))"
$part = "$transfer.part"
$old = "$transfer.old"
$answer = [ordered]@{
    changed = $false; warnings = [object[]]@(); path = $name; length = $Length; hash = $wanted
    received = $Length; done = $true; previous_hash = $null; backup = $null
}
$folder = Get-ParentPath $name
if (-not (Test-Path -LiteralPath $folder -PathType Container)) { throw (New-Failure 'folder_missing' "$folder is not there") }
$target = Get-FileItem $name
if ($Offset -eq 0 -or $null -eq (Get-FileItem $part)) {
    $present = Get-ItemHash $target
    if ($present -eq $wanted) {
        if (-not $WhatIfPreference) { Remove-OwnFile $part }
        return $answer
    }
    Assert-Unchanged $name $present $expected
}
try { $bytes = [Convert]::FromBase64String($Content) }
catch { throw (New-Failure 'bad_parameter' 'Content must be base64') }
if ($Offset + $bytes.Length -gt $Length) { throw (New-Failure 'bad_parameter' 'the piece goes beyond Length') }
if (-not $PSCmdlet.ShouldProcess($name, "Write bytes $Offset to $($Offset + $bytes.Length) of $Length")) {
    $answer.received = $Offset
    $answer.done = $false
    return $answer
}

if ($Offset -eq 0) { Remove-Leftover $name $part }
try {
    if ($null -eq (Get-FileItem $part)) { $null = New-Item -ItemType File -Path $part -ErrorAction Stop }
}
catch {
    if (-not (Test-Path -LiteralPath $part)) { throw (ConvertTo-FileFailure $_ $part) }
}
$answer.received = Write-Piece (Get-FileItem $part) $Offset $bytes
$answer.changed = $answer.received -ge $Offset + $bytes.Length
if ($answer.received -lt $Length) {
    $answer.done = $false
    return $answer
}

try {
    $answer.received = $Length
    if ((Get-ItemHash (Get-FileItem $part)) -ne $wanted) { throw (New-Failure 'transfer_broken' "what arrived for $name does not have the SHA-256 $wanted") }
    $target = Get-FileItem $name
    if ($null -eq $target) {
        Assert-Unchanged $name '' $expected
        try { Move-Item -LiteralPath $part -Destination $name -ErrorAction Stop }
        catch {
            if (Test-Path -LiteralPath $name) { Assert-Unchanged $name (Get-ItemHash (Get-FileItem $name)) $expected }
            throw (ConvertTo-FileFailure $_ $name)
        }
        return $answer
    }
    Assert-Unchanged $name (Get-ItemHash $target) $expected
    Move-OverFile (Get-FileItem $part) $target "$($target.FullName).$($wanted.Substring(0, 16)).old"
    $answer.previous_hash = Get-ItemHash (Get-FileItem $old)
    if ($expected -and $expected -ne $answer.previous_hash) {
        Move-OverFile (Get-FileItem $old) (Get-FileItem $name) "$($target.FullName).$($wanted.Substring(0, 16)).part"
        Assert-Unchanged $name $answer.previous_hash $expected
    }
    if ($KeepBackup) {
        Move-Item -LiteralPath $old -Destination "$name.bak" -Force -ErrorAction Stop
        $answer.backup = "$name.bak"
    }
    Remove-OwnFile $old
    return $answer
}
finally { Remove-OwnFile $part }
