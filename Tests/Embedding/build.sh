#!/usr/bin/env bash
# build.sh SCRATCH PHI: builds the package beside this script with a clone of this repository, tagged, in the place of the
# address that it names; checks what was fetched and what its program prints against the command PHI.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
scratch=$1
phi=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
model=$root/Sources/CPhiModel/small.phi
rm -rf "$scratch" && mkdir -p "$scratch/home"
scratch=$(cd "$scratch" && pwd)

# What is committed, and changes to it that are not.
commit=$(git -C "$root" stash create)
git init --quiet --bare "$scratch/swift-phi.git"
git -C "$scratch/swift-phi.git" config receive.shallowUpdate true
git -C "$root" push --quiet "$scratch/swift-phi.git" "${commit:-HEAD}:refs/tags/0.1.0"

cp -R "$here/Package.swift" "$here/Sources" "$scratch/"
cd "$scratch"
# Everything that SwiftPM remembers about addresses and tags stays here.
options=(--scratch-path "$scratch/build" --cache-path "$scratch/home" --config-path "$scratch/home" --security-path "$scratch/home")
swift package "${options[@]}" config set-mirror --original https://example.com/swift-phi.git --mirror "file://$scratch/swift-phi.git"
swift package "${options[@]}" resolve
fetched=$(ls "$scratch/build/checkouts")
if [ "$fetched" != swift-phi ]; then
    echo "the library's users fetch more than the library: $fetched" >&2
    exit 1
fi
swift build "${options[@]}" --product Embedding
prompt='def count_vowels(text):'
actual=$("$scratch/build/debug/Embedding" "$model" "$prompt" 40)
expected=$("$phi" complete -m "$model" --no-echo -n 40 "$prompt" 2>/dev/null)
if [ "$actual" != "$expected" ]; then
    printf 'the program printed\n%s\nand phi\n%s\n' "$actual" "$expected" >&2
    exit 1
fi
refused=$("$scratch/build/debug/Embedding" "$root/Formats/refused/wrong-magic.phi" "$prompt" 1)
case $refused in
"cannot use the model: "*"wrong-magic.phi: "*) ;;
*)
    echo "a bad file was not refused but answered with: $refused" >&2
    exit 1
    ;;
esac
if command -v readelf >/dev/null && readelf -d "$scratch/build/debug/Embedding" | grep NEEDED | grep -i foundation; then
    echo "the library's users load Foundation" >&2
    exit 1
fi
echo "a package that depends on swift-phi by address and version builds, with nothing else fetched, and runs"
