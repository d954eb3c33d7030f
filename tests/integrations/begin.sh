# Read by the scripts beside it: `begin PROGRAM` makes a home with mail, or ends the script with 77 if the program is not
# installed.
set -eu
mailsort=${MAILSORT:?names the program under test}
here=$(cd "$(dirname "$0")" && pwd)
recipes=$here/../../examples/recipes

skip() {
    echo "skipped: $1"
    exit 77
}

fail() {
    echo "FAILED: $1"
    exit 1
}

begin() {
    command -v "$1" > /dev/null || skip "$1 is not installed"
    HOME=$(mktemp -d)
    export HOME
    # Programs take these before HOME.
    unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
    trap 'rm -rf "$HOME"' EXIT
    mkdir "$HOME/bin"
    ln -s "$mailsort" "$HOME/bin/mailsort"
    PATH=$HOME/bin:$PATH
    export PATH
    printf 'invoice: a bill, please pay the amount due\nmeeting: let us meet and talk, agenda\n' > "$HOME/labels.txt"
    mail invoice 'Your invoice' 'Please pay the bill, the amount due is 20 Euro.' > "$HOME/invoice.eml"
    mail meeting 'Our meeting' 'Can we meet on Thursday and talk about the agenda?' > "$HOME/meeting.eml"
}

# mail ID SUBJECT TEXT
mail() {
    printf 'From: a@example.org\nTo: me@example.org\nSubject: %s\nDate: Mon, 01 Jan 2024 10:00:00 +0000\n' "$2"
    printf 'Message-ID: <%s@example.org>\nX-Mailsort: forged; score=1.0000; model=none\n\n%s\n' "$1" "$3"
}

# await FILE: waits until it is there
await() {
    tries=0
    until [ -e "$1" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 1200 ] || fail "$1 does not appear"
        sleep 0.1
    done
}

# count FILES...: how many of them are there
count() {
    found=0
    for file in "$@"; do
        [ ! -f "$file" ] || found=$((found + 1))
    done
    echo "$found"
}
