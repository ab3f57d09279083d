#include "proxy/cli/completion.h"

#include <fmt/core.h>

#include <algorithm>

#include "proxy/cli/output.h"

namespace regrow::cli {
namespace {

struct Word {
    std::string verb;  // "config defaults"; empty: the program itself
    std::string name;  // a verb below it, or an option with its dashes
    std::string help;
};

std::vector<std::string> optionNames(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const auto& s : option.get_snames()) names.push_back("-" + s);
    for (const auto& l : option.get_lnames()) names.push_back("--" + l);
    return names;
}

void collect(const CLI::App& app, const std::string& path, std::vector<Word>& words) {
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
        words.push_back({path, sub->get_name(), sub->get_description()});
    for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; }))
        for (auto& name : optionNames(*option))
            words.push_back({path, std::move(name), option->get_description()});
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
        collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), words);
}

// Inside single quotes, for any of the three shells.
std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '\'' ? std::string("`") : std::string(1, c);
    return out;
}

// "verb) words;;" for each verb.
std::string caseLines(const std::vector<Word>& words) {
    std::string out;
    std::vector<std::string> verbs;
    for (const auto& w : words)
        if (std::ranges::find(verbs, w.verb) == verbs.end()) verbs.push_back(w.verb);
    for (const auto& verb : verbs) {
        std::string list;
        for (const auto& w : words)
            if (w.verb == verb) list += (list.empty() ? "" : " ") + w.name;
        out += fmt::format("        '{}') words='{}' ;;\n", verb, list);
    }
    return out;
}

// The verb on the line is the longest known run of words after the program's name.
std::string bashScript(const std::vector<Word>& words) {
    return fmt::format(
        R"(# bash completion for regrow: source it, or save as /etc/bash_completion.d/regrow
_regrow() {{
    local words='' verb='' word current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    case "$previous" in
        -c|--config|--token-file|--key-file|--repo|--to) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$word" in
            -*) break ;;
            config|key|repo|completion) [ -z "$verb" ] && verb="$word" ;;
            *) if [ -z "$verb" ]; then verb="$word"
               elif [ "$verb" = config ] || [ "$verb" = key ] || [ "$verb" = repo ]; then verb="$verb $word"; fi; break ;;
        esac
    done
    case "$verb" in
{}    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _regrow regrow
)",
        caseLines(words));
}

std::string zshScript(const std::vector<Word>& words) {
    return "#compdef regrow\n# zsh completion for regrow: source it, or save as _regrow in a "
           "directory of $fpath\n"
           "autoload -U +X bashcompinit && bashcompinit\n" +
           bashScript(words);
}

std::string fishLine(const Word& w) {
    std::string condition = "__fish_use_subcommand";
    if (!w.verb.empty())
        condition = "__fish_seen_subcommand_from " + w.verb.substr(w.verb.rfind(' ') + 1);
    std::string what = fmt::format("-a '{}'", w.name);
    if (w.name.starts_with("--"))
        what = "-l " + w.name.substr(2);
    else if (w.name.starts_with("-"))
        what = "-s " + w.name.substr(1);
    return fmt::format("complete -c regrow -n '{}' {} -d '{}'\n", condition, what, quoted(w.help));
}

std::string fishScript(const std::vector<Word>& words) {
    std::string out =
        "# fish completion for regrow: save as ~/.config/fish/completions/regrow.fish\n";
    for (const auto& w : words) out += fishLine(w);
    return out;
}

}  // namespace

std::string completionScript(const CLI::App& app, const std::string& shell) {
    std::vector<Word> words;
    collect(app, "", words);
    if (shell == "bash") return bashScript(words);
    return shell == "zsh" ? zshScript(words) : fishScript(words);
}

void addCompletionVerb(CLI::App& app, int& exit_code) {
    const auto shell = std::make_shared<std::string>();
    CLI::App* verb = app.add_subcommand("completion", "a script that completes verbs and options")
                         ->group("The proxy");
    verb->add_option("shell", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    verb->callback([&app, shell, &exit_code] {
        print(completionScript(app, *shell));
        exit_code = kExitDone;
    });
}

}  // namespace regrow::cli
