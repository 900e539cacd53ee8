//! Documents that follow from the program: docs/cli.md and docs/json. `UPDATE_DOCS=1` writes them anew.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::{Arg, Command};
use devenv::{
    cli,
    commands::{Command as Verb, Purpose},
    report,
};

use crate::sources;

/// Compares a file of the repository with what it must be, or writes it.
#[expect(
    clippy::disallowed_methods,
    reason = "the files are the test's own product"
)]
fn check(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(sources::root().join(path), expected).expect("the repository can be written");
    }
    assert!(
        sources::text(path) == expected,
        "{} is not current: UPDATE_DOCS=1 cargo test --test hermetic documents",
        path.display()
    );
}

#[test]
fn the_json_schemas_are_current() {
    let mut expected = BTreeSet::new();
    for (name, schema) in report::json_schemas() {
        let path = PathBuf::from(format!("docs/json/{name}.schema.json"));
        check(&path, &format!("{schema:#}\n"));
        expected.insert(sources::root().join(path));
    }
    for entry in fs::read_dir(sources::root().join("docs/json")).expect("the schemas are there") {
        let path = entry.expect("an entry").path();
        assert!(
            expected.contains(&path),
            "{} belongs to no document",
            path.display()
        );
    }
}

#[test]
fn the_reference_of_the_command_line_is_current() {
    check(Path::new("docs/cli.md"), &reference());
}

#[test]
fn every_verb_has_an_example() {
    let mut command = cli::command();
    command.build();
    for verb in command.get_subcommands() {
        if verb.get_subcommands().next().is_none() {
            let examples = verb.get_after_help().map(ToString::to_string);
            let call = format!("devenv {}", verb.get_name());
            assert!(
                examples.is_some_and(|text| text.contains(&call)),
                "{} has no example",
                verb.get_name()
            );
        }
    }
}

fn reference() -> String {
    let mut command = cli::command();
    command.build();
    let mut text = String::from(
        "# The command line\n\n\
         Generated from the program: `UPDATE_DOCS=1 cargo test --test hermetic documents`.\n\n\
         Standard output is data, standard error is talk. With `-o json` standard output is exactly one document \
         (JSON Lines for streams), failures included; the schemas are in [json](json). \
         What a failure's code means is in [errors.md](errors.md).\n\n\
         ## Common options\n\n\
         Every command has them; a variable stands in for a flag that is not given.\n\n\
         | option | variable | meaning |\n| --- | --- | --- |\n",
    );
    for arg in command.get_arguments().filter(|arg| is_common(arg)) {
        let variable = arg
            .get_env()
            .map(|name| format!("`{}`", name.to_string_lossy()))
            .unwrap_or_default();
        text.push_str(&format!(
            "| {} | {variable} | {} |\n",
            option(arg),
            help(arg)
        ));
    }
    text.push_str(EXIT_CODES);
    for purpose in Purpose::ALL {
        let verbs: Vec<&Command> = Verb::PURPOSES
            .iter()
            .filter(|(_, of)| *of == purpose)
            .filter_map(|(module, _)| command.find_subcommand(module.replace('_', "-")))
            .collect();
        if verbs.is_empty() {
            continue;
        }
        text.push_str(&format!("\n## {}\n", purpose.heading()));
        for verb in verbs {
            describe(verb, "devenv", &mut text);
        }
    }
    text
}

const EXIT_CODES: &str = "
## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | a fault of devenv itself |
| 2 | a wrong flag or argument |
| 3 | the manifest or the settings are wrong |
| 4 | something the machine must have is missing |
| 5 | the cluster or a tool failed |
| 6 | a service is not ready |
| 7 | data or a snapshot |
| 8 | another command is at work on the environment |
| 9 | checks or thresholds not met |
| 10 | `plan --exit-code`: there is something to do |
| 130, 143 | ended by Ctrl-C, by SIGTERM or SIGHUP |

`exec` passes on the exit code of its command.
";

fn describe(verb: &Command, parent: &str, text: &mut String) {
    let name = format!("{parent} {}", verb.get_name());
    let about = verb
        .get_long_about()
        .or(verb.get_about())
        .map(ToString::to_string)
        .unwrap_or_default();
    let about = about.trim_end_matches('.');
    text.push_str(&format!("\n### {name}\n\n{about}.\n"));
    let own: Vec<&Arg> = verb
        .get_arguments()
        .filter(|arg| !is_common(arg) && !arg.is_hide_set() && arg.get_id() != "help")
        .collect();
    if !own.is_empty() {
        text.push_str("\n| argument | meaning |\n| --- | --- |\n");
        for arg in own {
            text.push_str(&format!("| {} | {} |\n", option(arg), help(arg)));
        }
    }
    if let Some(examples) = verb.get_after_help() {
        let examples = examples.to_string();
        let commands: Vec<&str> = examples
            .lines()
            .skip(1)
            .map(|line| line.strip_prefix("  ").unwrap_or(line))
            .collect();
        text.push_str(&format!("\n```sh\n{}\n```\n", commands.join("\n")));
    }
    let shown = |nested: &&Command| !nested.is_hide_set();
    for nested in verb.get_subcommands().filter(shown) {
        describe(nested, &name, text);
    }
}

fn is_common(arg: &Arg) -> bool {
    arg.get_help_heading() == Some("Common options")
}

/// `-o, --output <FORM>`, or `<SHELL>`.
fn option(arg: &Arg) -> String {
    let values: String = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .map(|names| names.iter().map(|name| format!(" <{name}>")).collect())
        .unwrap_or_default();
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    format!("`{}`", format!("{}{values}", flags.join(", ")).trim())
}

fn help(arg: &Arg) -> String {
    let mut text = arg
        .get_long_help()
        .or(arg.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        text.push_str(&format!(": {}", values.join(", ")));
    }
    text.replace("\n\n", " ")
        .replace('\n', " ")
        .replace('|', "\\|")
}
