#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.0' }

BeforeAll {
    . "$PSScriptRoot/GameServer.ps1"

    $File = 'C:\GamingAnywhere\config\chess.conf'

    function Get-Hash {
        # SHA-256 of a text, as Write-File and Read-File tell it.
        param([string] $Text)
        $stream = [System.IO.MemoryStream]::new([System.Text.Encoding]::UTF8.GetBytes($Text))
        (Get-FileHash -InputStream $stream -Algorithm SHA256).Hash.ToLowerInvariant()
    }

    function Write-TestFile {
        # Sends a text, or Count letters of it from Offset.
        param([string] $Text, [int] $Offset = 0, [int] $Count = -1, [hashtable] $With = @{})
        $bytes = [System.Text.Encoding]::UTF8.GetBytes($Text)
        if ($Count -lt 0) { $Count = $bytes.Length - $Offset }
        $order = @{ Path = $File; Offset = $Offset; Content = [Convert]::ToBase64String($bytes, $Offset, $Count); Length = $bytes.Length; Hash = Get-Hash $Text }
        foreach ($name in $With.Keys) { $order[$name] = $With[$name] }
        Invoke-RuntimeScript Write-File $order
    }

    function Read-TestFile {
        param([hashtable] $With = @{})
        $order = @{ Path = $File }
        foreach ($name in $With.Keys) { $order[$name] = $With[$name] }
        Invoke-RuntimeScript Read-File $order
    }

    function Get-Text {
        # What a file has, to the byte.
        param([string] $Path = $File)
        Get-Content -LiteralPath $Path -Raw -Encoding utf8NoBOM
    }

    function Get-Folder {
        Get-StandInFile | ForEach-Object { $_.Substring($_.LastIndexOf('\') + 1) }
    }
}

AfterAll {
    Remove-StandInServer
}

Describe 'Read-File' {
    BeforeEach {
        New-StandInServer
        Add-StandInFile $File 'server-port = 8554'
    }

    It 'answers a small file at once, with its hash' {
        $answer = Read-TestFile
        [System.Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($answer.content)) | Should -BeExactly 'server-port = 8554'
        $answer.length | Should -Be 18
        $answer.hash | Should -Be (Get-Hash 'server-port = 8554')
        $answer.changed | Should -BeFalse
    }

    It 'answers one piece, and the next by the first one''s version, without the hash again' {
        $first = Read-TestFile @{ Length = 7 }
        $second = Read-TestFile @{ Length = 100; Offset = 7; Version = $first.version }
        $bytes = [Convert]::FromBase64String($first.content) + [Convert]::FromBase64String($second.content)
        [System.Text.Encoding]::UTF8.GetString($bytes) | Should -BeExactly 'server-port = 8554'
        $second.hash | Should -BeNullOrEmpty
    }

    It 'refuses the next piece where the file has changed since' {
        $first = Read-TestFile @{ Length = 7 }
        Add-StandInFile $File 'server-port = 8556 # other'
        { Read-TestFile @{ Offset = 7; Version = $first.version } } | Should -Throw -ErrorId file_changed
    }

    It 'refuses a file that is not the one that was seen' {
        { Read-TestFile @{ ExpectedHash = Get-Hash 'other' } } | Should -Throw -ErrorId file_changed
        (Read-TestFile @{ ExpectedHash = (Get-Hash 'server-port = 8554').ToUpperInvariant() }).length | Should -Be 18
    }

    It 'fails with <Code> for <Because>' -ForEach @(
        @{ Because = 'a file that is not there'; With = @{ Path = 'C:\GamingAnywhere\config\none.conf' }; Code = 'file_missing' }
        @{ Because = 'a folder'; With = @{ Path = 'C:\GamingAnywhere\config' }; Code = 'file_missing' }
        @{ Because = 'a file larger than the caller takes'; With = @{ MaxLength = 5 }; Code = 'file_too_big' }
        @{ Because = 'a piece beyond the end'; With = @{ Offset = 19 }; Code = 'file_changed' }
        @{ Because = 'a relative path'; With = @{ Path = 'config\chess.conf' }; Code = 'bad_parameter' }
        @{ Because = 'a second stream of a file'; With = @{ Path = 'C:\GamingAnywhere\config\chess.conf:hidden' }; Code = 'bad_parameter' }
        @{ Because = 'a device'; With = @{ Path = '\\.\PhysicalDrive0' }; Code = 'bad_parameter' }
        @{ Because = 'a wildcard'; With = @{ Path = 'C:\GamingAnywhere\config\*.conf' }; Code = 'bad_parameter' }
    ) {
        { Read-TestFile $With } | Should -Throw -ErrorId $Code
    }
}

Describe 'Write-File' {
    BeforeEach {
        New-StandInServer
        Add-StandInFile $File 'before'
    }

    It 'replaces the file, and keeps what was there as NAME.bak' {
        $answer = Write-TestFile 'after'
        Get-Text | Should -BeExactly 'after'
        Get-Text "$File.bak" | Should -BeExactly 'before'
        $answer.done | Should -BeTrue
        $answer.changed | Should -BeTrue
        $answer.previous_hash | Should -Be (Get-Hash 'before')
        $answer.backup | Should -Be "$File.bak"
        Get-Folder | Should -Be 'chess.conf', 'chess.conf.bak'
    }

    It 'keeps no backup where none is wanted' {
        (Write-TestFile 'after' -With @{ KeepBackup = $false }).backup | Should -BeNullOrEmpty
        Get-Folder | Should -Be 'chess.conf'
    }

    It 'replaces the backup of an earlier change' {
        $null = Write-TestFile 'second'
        $null = Write-TestFile 'third'
        Get-Text "$File.bak" | Should -BeExactly 'second'
    }

    It 'makes a file that was not there, without a backup' {
        $answer = Write-TestFile 'new' -With @{ Path = 'C:\GamingAnywhere\config\new.conf'; ExpectedHash = 'missing' }
        Get-Text 'C:\GamingAnywhere\config\new.conf' | Should -BeExactly 'new'
        $answer.backup | Should -BeNullOrEmpty
        $answer.previous_hash | Should -BeNullOrEmpty
    }

    It 'writes an empty file' {
        (Write-TestFile '').done | Should -BeTrue
        (Get-Item -LiteralPath $File).Length | Should -Be 0
    }

    It 'changes nothing where the file has that content already' {
        $answer = Write-TestFile 'before'
        $answer.changed | Should -BeFalse
        $answer.done | Should -BeTrue
        Get-Folder | Should -Be 'chess.conf'
    }

    It 'shows nothing of the new content until its last piece is there' {
        $first = Write-TestFile 'in two pieces' -Count 6
        $first.done | Should -BeFalse
        $first.received | Should -Be 6
        Get-Text | Should -BeExactly 'before'
        $last = Write-TestFile 'in two pieces' -Offset 6
        $last.done | Should -BeTrue
        Get-Text | Should -BeExactly 'in two pieces'
        Get-Folder | Should -Be 'chess.conf', 'chess.conf.bak'
    }

    It 'takes a piece twice without harm, and says what is there to one that comes too early' {
        $null = Write-TestFile 'in two pieces' -Count 6
        (Write-TestFile 'in two pieces' -Count 6).received | Should -Be 6
        (Write-TestFile 'in two pieces' -Offset 9).received | Should -Be 6
        (Write-TestFile 'in two pieces' -Offset 6).done | Should -BeTrue
        Get-Text | Should -BeExactly 'in two pieces'
    }

    It 'refuses to replace a file that is not the one that was seen' {
        { Write-TestFile 'after' -With @{ ExpectedHash = Get-Hash 'seen' } } | Should -Throw -ErrorId file_changed
        { Write-TestFile 'after' -With @{ ExpectedHash = 'missing' } } | Should -Throw -ErrorId file_changed
        Get-Text | Should -BeExactly 'before'
        Get-Folder | Should -Be 'chess.conf'
    }

    It 'refuses to replace a file that changed while the pieces came' {
        $null = Write-TestFile 'in two pieces' -Count 6 -With @{ ExpectedHash = Get-Hash 'before' }
        Add-StandInFile $File 'somebody else''s'
        { Write-TestFile 'in two pieces' -Offset 6 -With @{ ExpectedHash = Get-Hash 'before' } } | Should -Throw -ErrorId file_changed
        Get-Text | Should -BeExactly 'somebody else''s'
        Get-Folder | Should -Be 'chess.conf'
    }

    It 'puts back what somebody wrote in the very moment of the replacement, and refuses' {
        $null = Write-TestFile 'in two pieces' -Count 6
        # Somebody writes when the script has looked at the file for the last time.
        $global:Look = @{ Count = 0; File = $File }
        function global:Get-Item {
            [CmdletBinding()]
            param([string] $LiteralPath, [switch] $Force)
            if ($LiteralPath -eq $global:Look.File) { $global:Look.Count++ }
            elseif ($global:Look.Count -eq 2 -and $LiteralPath -like '*.part') { Set-Content -LiteralPath $global:Look.File -Value 'at the last moment' -NoNewline }
            Microsoft.PowerShell.Management\Get-Item @PSBoundParameters
        }
        try { { Write-TestFile 'in two pieces' -Offset 6 -With @{ ExpectedHash = Get-Hash 'before' } } | Should -Throw -ErrorId file_changed }
        finally {
            Microsoft.PowerShell.Management\Remove-Item -LiteralPath function:\Get-Item
            Remove-Variable -Name Look -Scope Global
        }
        Get-Text | Should -BeExactly 'at the last moment'
        Get-Folder | Should -Be 'chess.conf'
    }

    It 'refuses to write a file again that somebody removed' {
        Remove-Item -LiteralPath $File
        { Write-TestFile 'after' -With @{ ExpectedHash = Get-Hash 'before' } } | Should -Throw -ErrorId file_missing
        Get-Folder | Should -BeNullOrEmpty
    }

    It 'keeps the file where what arrived does not have the hash, and removes the part' {
        { Write-TestFile 'after' -With @{ Hash = Get-Hash 'another' } } | Should -Throw -ErrorId transfer_broken
        Get-Text | Should -BeExactly 'before'
        Get-Folder | Should -Be 'chess.conf'
    }

    It 'removes parts of others that nobody went on with for a day, no younger ones and nothing else' {
        foreach ($part in @('a', 25), @('b', 23), @('c', 99)) {
            $path = "$File.$($part[0] * 16).part"
            if ($part[0] -eq 'c') { $path = "$File.part" }
            Add-StandInFile $path 'x'
            (Get-Item -LiteralPath $path).LastWriteTimeUtc = (Get-UtcNowStandIn).AddHours(-$part[1])
        }
        $null = Write-TestFile 'after' -With @{ KeepBackup = $false }
        Get-Folder | Should -Be 'chess.conf', "chess.conf.$('b' * 16).part", 'chess.conf.part'
    }

    It 'fails with <Code> for <Because>' -ForEach @(
        @{ Because = 'a folder that is not there'; With = @{ Path = 'C:\None\new.conf' }; Code = 'folder_missing' }
        @{ Because = 'a folder in the file''s place'; With = @{ Path = 'C:\GamingAnywhere\config' }; Code = 'file_missing' }
        @{ Because = 'what is no base64'; With = @{ Content = '?' }; Code = 'bad_parameter' }
        @{ Because = 'a piece that is longer than the whole'; With = @{ Length = 3 }; Code = 'bad_parameter' }
        @{ Because = 'a hash that is none'; With = @{ Hash = 'abc' }; Code = 'bad_parameter' }
        @{ Because = 'a relative path'; With = @{ Path = 'chess.conf' }; Code = 'bad_parameter' }
    ) {
        { Write-TestFile 'after' -With $With } | Should -Throw -ErrorId $Code
        Get-Text | Should -BeExactly 'before'
        Get-Folder | Should -Be 'chess.conf'
    }

    It 'fails, after it waited, where another program has the file open' {
        $null = Write-TestFile 'in two pieces' -Count 6
        $part = Get-Item -LiteralPath "$File.$((Get-Hash 'in two pieces').Substring(0, 16)).part"
        $held = $part.Open('Open', 'ReadWrite', 'None')
        $before = Get-UtcNowStandIn
        try { { Write-TestFile 'in two pieces' -Offset 6 } | Should -Throw -ErrorId file_in_use }
        finally { $held.Dispose() }
        ((Get-UtcNowStandIn) - $before).TotalSeconds | Should -BeGreaterOrEqual 5
        (Write-TestFile 'in two pieces' -Offset 6).done | Should -BeTrue
    }

    It 'writes nothing with -WhatIf' {
        $answer = Write-TestFile 'after' -With @{ WhatIf = $true }
        $answer.done | Should -BeFalse
        $answer.changed | Should -BeFalse
        Get-Text | Should -BeExactly 'before'
        Get-Folder | Should -Be 'chess.conf'
    }
}
