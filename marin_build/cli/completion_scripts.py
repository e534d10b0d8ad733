"""What makes shells complete `marin-build`: each asks click, and adds no blank after `parameter=`.

click's own scripts add one, cut what follows a comma in fish, know no `--option=value` in bash and
fish, and need a zsh that was prepared.
"""

from __future__ import annotations

_BASH = r"""_marin_build_completion() {
    local type value word glue=no words=()
    COMPREPLY=()
    # Bash splits `--set=name` at the sign.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ $word == = || $glue == yes ]]; then words[-1]+=$word; else words+=("$word"); fi
        if [[ $word == = ]]; then glue=yes; else glue=no; fi
    done
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("$value")
                [[ $value != *= ]] || compopt -o nospace
                ;;
        esac
    done < <(COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) \
        _MARIN_BUILD_COMPLETE=bash_complete "$1")
}
complete -o nosort -F _marin_build_completion marin-build
"""

_ZSH = r"""#compdef marin-build

_marin_build_completion() {
    local -a answer plain described parameters
    local type key description option=
    (( $+commands[marin-build] )) || return 1
    answer=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
        _MARIN_BUILD_COMPLETE=zsh_complete marin-build)}")
    [[ $PREFIX != --*=* ]] || option=${PREFIX%%=*}=
    for type key description in ${answer}; do
        if [[ $type == dir ]]; then
            _path_files -/
        elif [[ $type == file ]]; then
            _path_files -f
        elif [[ $key == *= ]]; then
            parameters+=("$key")
        elif [[ $description == _ ]]; then
            plain+=("$key")
        else
            described+=("$key:$description")
        fi
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -P "$option" -V unsorted -a plain
    (( $#parameters )) && compadd -U -P "$option" -S '' -V unsorted -a parameters
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _marin_build_completion "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _marin_build_completion marin-build
fi
"""

_FISH = r"""function _marin_build_completion
    set -l option (string match --regex -- '^--[^=]+=' (commandline -t))
    set -l words (commandline -cp | string collect)
    for line in (env _MARIN_BUILD_COMPLETE=fish_complete COMP_WORDS=$words \
            COMP_CWORD=(commandline -t) marin-build)
        set -l parts (string split -m 1 "," -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo "$option$parts[2]"
        end
    end
end

complete --no-files --command marin-build --arguments "(_marin_build_completion)"
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""The script of each shell, by its name."""
