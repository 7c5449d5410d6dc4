<#
.SYNOPSIS
    Files in pieces: open, hash, replace, and what Windows says against it.
.DESCRIPTION
    Needs Common.ps1. A file is reached through Get-Item, so that a drive may be
    any folder; its own object opens and replaces it. Nothing here holds more of
    a file in memory than one piece.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: File.ps1
#>
#Requires -Version 5.1

$LeftoverAge = [timespan]::FromDays(1)

function Assert-FilePath {
    # An absolute path of a drive or share, with backslashes only.
    param([string] $Path)
    $plain = ConvertTo-WindowsPath $Path
    if (-not (Test-AbsolutePath $plain) -or $plain -match '^\\\\[.?]\\' -or $plain -match '[<>"|?*\x00-\x1f]' -or $plain.Substring(2).Contains(':')) {
        throw (New-Failure 'bad_parameter' "Path must be an absolute path of a file, as C:\Folder\name.conf, not '$Path'")
    }
    return $plain
}

function Get-FileItem {
    # A file's own object, or null where there is none.
    param([string] $Path)
    try { $item = Get-Item -LiteralPath $Path -Force -ErrorAction Stop }
    catch {
        if ($_.CategoryInfo.Category -eq 'ObjectNotFound') { return $null }
        throw (ConvertTo-FileFailure $_ $Path)
    }
    if ($item.PSIsContainer) { throw (New-Failure 'file_missing' "$Path is a folder, not a file") }
    return $item
}

function ConvertTo-FileFailure {
    # An error of the file system with a code of ours where it has one.
    param([System.Management.Automation.ErrorRecord] $Problem, [string] $Path)
    $exception = $Problem.Exception
    while ($exception -is [System.Management.Automation.MethodInvocationException] -and $exception.InnerException) { $exception = $exception.InnerException }
    $number = '0x{0:X8}' -f ([long]$exception.HResult -band 4294967295)
    if ($exception -is [System.UnauthorizedAccessException] -or (Test-AccessDenied $Problem)) {
        return (New-Failure 'access_denied' "Windows does not let this account at ${Path}: $($exception.Message)")
    }
    if (@('0x80070020', '0x80070021', '0x0000000B') -contains $number) { return (New-Failure 'file_in_use' "another program has $Path open: $($exception.Message)") }
    if (@('0x80070027', '0x80070070', '0x0000001C') -contains $number) { return (New-Failure 'disk_full' "the disk of $Path is full: $($exception.Message)") }
    return $Problem
}

function Open-File {
    # A stream on a file. One that somebody else holds is waited for, because a
    # call that was cut off may still be at its piece.
    param([object] $Item, [string] $Access, [string] $Share)
    $deadline = (Get-UtcNow).AddSeconds(5)
    while ($true) {
        try { return $Item.Open('Open', $Access, $Share) }
        catch {
            $failure = ConvertTo-FileFailure $_ $Item.Name
            if ([string]$failure.FullyQualifiedErrorId -ne 'file_in_use' -or (Get-UtcNow) -ge $deadline) { throw $failure }
        }
        Start-Sleep -Milliseconds 100
    }
}

function Get-StreamHash {
    # SHA-256 of all of a stream, in lower case.
    param([object] $Stream)
    $Stream.Position = 0
    return (Get-FileHash -InputStream $Stream -Algorithm SHA256 -ErrorAction Stop).Hash.ToLowerInvariant()
}

function Get-ItemHash {
    # SHA-256 of a file, in lower case; null where there is none.
    param([object] $Item)
    if ($null -eq $Item) { return $null }
    $stream = Open-File $Item 'Read' 'Read'
    try { return (Get-StreamHash $stream) }
    finally { $stream.Dispose() }
}

function Read-Piece {
    # Base64 of at most Length bytes from Offset.
    param([object] $Stream, [long] $Offset, [int] $Length)
    $count = [int][Math]::Max(0, [Math]::Min([long]$Length, $Stream.Length - $Offset))
    $buffer = New-Object byte[] $count
    $Stream.Position = $Offset
    $done = 0
    while ($done -lt $count) {
        $now = $Stream.Read($buffer, $done, $count - $done)
        if ($now -le 0) { break }
        $done += $now
    }
    return [Convert]::ToBase64String($buffer, 0, $done)
}

function Write-Piece {
    # Puts bytes at Offset where they are missing; answers how much is there now.
    param([object] $Item, [long] $Offset, [byte[]] $Content)
    $stream = Open-File $Item 'ReadWrite' 'None'
    try {
        if ($stream.Length -lt $Offset -or $stream.Length -ge $Offset + $Content.Length) { return $stream.Length }
        $stream.Position = $Offset
        try {
            $stream.Write($Content, 0, $Content.Length)
            $stream.Flush($true)
        }
        catch {
            $failure = ConvertTo-FileFailure $_ $Item.Name
            $stream.SetLength($Offset)
            throw $failure
        }
        return $stream.Length
    }
    finally { $stream.Dispose() }
}

function Assert-Unchanged {
    # What is at a path must be what the caller has seen: a hash, or 'missing'.
    param([string] $Path, [string] $Found, [string] $Expected)
    if (-not $Expected -or $Expected -eq $Found) { return }
    if ($Expected -eq 'missing') {
        if ($Found) { throw (New-Failure 'file_changed' "$Path is there already") }
        return
    }
    if (-not $Found) { throw (New-Failure 'file_missing' "$Path is not there any more") }
    throw (New-Failure 'file_changed' "$Path was changed meanwhile: its SHA-256 is $Found, not $Expected")
}

function Move-OverFile {
    # Puts a file in the place of another in one step, which keeps the other's
    # rights; what was there goes to Old. Where the file system knows no such
    # step (a share, FAT) it takes two.
    param([object] $Item, [object] $Target, [string] $Old)
    try { $null = $Item.Replace($Target.FullName, $Old) }
    catch {
        $failure = ConvertTo-FileFailure $_ $Target.Name
        if ([string]$failure.FullyQualifiedErrorId -match '^(access_denied|file_in_use|disk_full)$') { throw $failure }
        if (-not (Test-Path -LiteralPath $Target.FullName)) { throw $failure }
        Copy-Item -LiteralPath $Target.FullName -Destination $Old -Force -ErrorAction Stop
        Move-Item -LiteralPath $Item.FullName -Destination $Target.FullName -Force -ErrorAction Stop
    }
}

function Remove-OwnFile {
    # Removes a file of a transfer where it is there; what cannot be is left.
    param([string] $Path)
    try {
        if (Test-Path -LiteralPath $Path) { Remove-Item -LiteralPath $Path -Force -ErrorAction Stop }
    }
    catch { Write-Verbose "${Path}: $($_.Exception.Message)" }
}

function Remove-Leftover {
    # Removes parts of other transfers to the same file that nobody has gone on
    # with for a day.
    param([string] $Path, [string] $Part)
    $name = Get-LeafName $Path
    $oldest = (Get-UtcNow) - $LeftoverAge
    foreach ($file in @(Get-ChildItem -LiteralPath (Get-ParentPath $Path) -Force -ErrorAction SilentlyContinue)) {
        if (-not $file.Name.StartsWith("$name.", [StringComparison]::OrdinalIgnoreCase)) { continue }
        if ($file.Name.Substring($name.Length) -notmatch '^\.[0-9a-f]{16}\.(part|old)$' -or $file.Name -eq (Get-LeafName $Part)) { continue }
        if ($file.LastWriteTimeUtc -lt $oldest) { Remove-OwnFile $file.FullName }
    }
}
