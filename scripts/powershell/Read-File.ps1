<#
.SYNOPSIS
    Reads one piece of a file.
.DESCRIPTION
    Changes nothing. The first piece tells the whole file's length, SHA-256 and
    version; a later one that names this version is refused where the file has
    changed since. The last piece is the one that ends at the file's length.
.PARAMETER Path
    The file, absolute.
.PARAMETER Offset
    Where the piece begins, in bytes. Beyond the end is file_changed.
.PARAMETER Length
    The most bytes to answer with.
.PARAMETER Version
    What the first piece answered; empty for the first. The hash is computed for
    the first only, because it takes reading the whole file.
.PARAMETER ExpectedHash
    SHA-256 that the file must have; looked at where Version is empty.
.PARAMETER MaxLength
    A larger file is refused, in bytes.
.OUTPUTS
    A dictionary with path, length, hash (null for a later piece), version,
    modified_at, offset and content, base64.
.EXAMPLE
    .\Read-File.ps1 -Path C:\GamingAnywhere\config\chess.conf
#>
# Needs: Common.ps1
# Needs: File.ps1
#Requires -Version 5.1
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)]
    [ValidateLength(1, 260)]
    [string] $Path,

    [ValidateRange(0, 1099511627776)]
    [long] $Offset = 0,

    [ValidateRange(1, 1048576)]
    [int] $Length = 262144,

    [ValidateLength(0, 64)]
    [string] $Version = '',

    [ValidatePattern('^([0-9A-Fa-f]{64})?$')]
    [string] $ExpectedHash = '',

    [ValidateRange(0, 1099511627776)]
    [long] $MaxLength = 1073741824
)

$name = Assert-FilePath $Path
$item = Get-FileItem $name
if ($null -eq $item) { throw (New-Failure 'file_missing' "$name is not there") }
$stream = Open-File $item 'Read' 'Read'
try {
    $item.Refresh()
    $found = "$($stream.Length)-$($item.LastWriteTimeUtc.Ticks)"
    if ($stream.Length -gt $MaxLength) { throw (New-Failure 'file_too_big' "$name has $($stream.Length) bytes, more than the $MaxLength that were asked for") }
    if ($Version -and $Version -ne $found) { throw (New-Failure 'file_changed' "$name was changed while it was being read") }
    if ($Offset -gt $stream.Length) { throw (New-Failure 'file_changed' "$name has only $($stream.Length) bytes now, fewer than $Offset") }
    $hash = $null
    if (-not $Version) {
        $hash = Get-StreamHash $stream
        Assert-Unchanged $name $hash $ExpectedHash.ToLowerInvariant()
    }
    return [ordered]@{
        changed     = $false
        warnings    = [object[]]@()
        path        = $name
        length      = $stream.Length
        hash        = $hash
        version     = $found
        modified_at = Format-UtcTime $item.LastWriteTimeUtc
        offset      = $Offset
        content     = Read-Piece $stream $Offset $Length
    }
}
finally { $stream.Dispose() }
