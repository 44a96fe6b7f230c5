#!/bin/sh
# install-data.sh DESTDIR PREFIX: man pages, completions, units, users, guide and sample configuration; never over a file that is there.
set -eu
dest=$1 prefix=$2
cd "$(dirname "$0")"
for page in man/*.[1-8]; do
    [ -f "$page" ] || continue
    install -Dm 644 "$page" "$dest$prefix/share/man/man${page##*.}/${page##*/}"
done
for name in atalaia atalaia-console; do
    install -Dm 644 completion/$name.bash "$dest$prefix/share/bash-completion/completions/$name"
    install -Dm 644 completion/$name.zsh "$dest$prefix/share/zsh/vendor-completions/_$name"
    install -Dm 644 completion/$name.fish "$dest$prefix/share/fish/vendor_completions.d/$name.fish"
done
for guide in guide/*.md; do
    install -Dm 644 "$guide" "$dest$prefix/share/doc/atalaia/${guide##*/}"
done
install -Dm 755 server-setup.sh "$dest$prefix/sbin/atalaia-server-setup"
for file in observability/*; do
    install -Dm 644 "$file" "$dest$prefix/share/doc/atalaia/examples/$file"
done
[ -e "$dest/etc/apparmor.d/abstractions/atalaia-sets" ] ||
    install -Dm 644 apparmor/atalaia-sets "$dest/etc/apparmor.d/abstractions/atalaia-sets"
for script in engines/*.sh; do
    install -Dm 755 "$script" "$dest$prefix/lib/atalaia/$script"
done
for unit in systemd/*.service; do
    install -Dm 644 "$unit" "$dest$prefix/lib/systemd/system/${unit##*/}"
done
for name in atalaia atalaia-console; do
    install -Dm 644 sysusers/$name.conf "$dest$prefix/lib/sysusers.d/$name.conf"
    install -Dm 644 sysusers/$name.tmpfiles "$dest$prefix/lib/tmpfiles.d/$name.conf"
done
for conf in conf/*.conf; do
    [ -f "$conf" ] || continue
    install -Dm 644 "$conf" "$dest$prefix/share/doc/atalaia/examples/${conf##*/}"
    [ -e "$dest/etc/atalaia/${conf##*/}" ] || install -Dm 644 "$conf" "$dest/etc/atalaia/${conf##*/}"
done
