# bash completion for atalaia
_atalaia() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words
    case $prev in
    --socket) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --url) mapfile -t COMPREPLY < <(compgen -W 'http://127.0.0.1:2227' -- "$cur"); return ;;
    --feed) mapfile -t COMPREPLY < <(compgen -W 'signatures policies' -- "$cur"); return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='status update why-old doctor policy feeds sets tasks events --help --version'
    else
        words='--json --socket --url --help'
        case ${COMP_WORDS[1]} in
        update) words="$words --wait --feed" ;;
        why-old | feeds) words="$words --feed" ;;
        doctor) words="$words --fix-hints" ;;
        policy) words="$words --explain" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _atalaia atalaia
