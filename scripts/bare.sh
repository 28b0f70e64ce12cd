# shellcheck shell=sh disable=SC2154,SC2034 # the caller's variables
# A fresh Debian in a directory, and commands in it. Sourced after lib.sh by scripts that say where: `root`, `suite`.
#
#   BARE_MIRROR  the Debian mirror (default http://deb.debian.org/debian)
#   BARE_BIND    for machines that reach packages in their own way: paths to show read-only inside, each PATH or FROM:TO
#   BARE_ENV     likewise: variables to set inside, each NAME=VALUE

# Status 0 where the script has mounts of its own. Where it has not: empties `root`, runs the script once more with such,
# which end with it however it ends, and leaves in `bare_status` what that ended with.
own_mounts() {
    if [ "${BARE_INSIDE:-}" = 1 ]; then return 0; fi
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    bare_status=0
    BARE_INSIDE=1 unshare --mount --propagation private "scripts/${0##*/}" "$@" || bare_status=$?
    return 1
}

# Makes the Debian, with these packages beyond the least, and what it needs to be worked in.
bare_debian() {
    timed debootstrap debootstrap --variant=minbase --include="$1" "$suite" "$root" \
        "${BARE_MIRROR:-http://deb.debian.org/debian}"
    mount --bind "$root" "$root" # `ip netns exec` wants / to be a mount
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    show /etc/resolv.conf
    for path in ${BARE_BIND:-}; do show "$path"; done
}

inside() {
    # shellcheck disable=SC2086 # a list of words
    chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 ${BARE_ENV:-} "$@"
}

show() {
    from=${1%%:*} to=$root${1#*:}
    if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}" && touch "$to"; fi
    mount --bind -o ro "$from" "$to"
}

timed() {
    what=$1 began=$(date +%s)
    shift
    "$@" || die "${0##*/} $suite: $what failed"
    say "== ${0##*/} $suite: $what: ok, $(($(date +%s) - began)) s"
}
