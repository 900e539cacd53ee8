//! Help and wrong arguments.

use crate::support::TestEnvironment;

#[test]
fn devenv_alone_shows_every_verb_by_purpose() {
    let output = TestEnvironment::new().devenv::<&str>([]);
    assert_eq!(output.code, Some(2), "{output}");
    let mut places = Vec::new();
    for line in ["\ndevenv\n", "  completions  ", "  version      "] {
        places.push(
            output
                .stdout
                .find(line)
                .unwrap_or_else(|| panic!("{line}: {output}")),
        );
    }
    assert!(places.is_sorted(), "{output}");
    let help = TestEnvironment::new().devenv(["--help"]);
    assert_eq!(help.code, Some(0), "{help}");
    assert_eq!(help.stdout, output.stdout);
}

#[test]
fn the_help_of_a_verb_ends_with_examples() {
    insta::assert_snapshot!(TestEnvironment::new().devenv(["completions", "-h"]), @r"
    Print the script that completes devenv's command line in your shell

    Usage: devenv completions [OPTIONS] [SHELL]

    Arguments:
      [SHELL]  The shell; that of $SHELL if left out [possible values: bash, elvish, fish, powershell,
               zsh]

    Options:
      -h, --help  Print help (see more with '--help')

    Common options:
      -f, --file <FILE>         The manifest [default: devenv.yaml in this directory or above]
      -C, --directory <DIR>     Act as if started in this directory
      -p, --profile <PROFILE>   Lay a profile over the manifest; several: `-p a -p b` or `-p a,b`
          --set <KEY=VALUE>     Set a value of the manifest for this run, such as
                                `services.order.replicas=2`; may be repeated
      -o, --output <FORM>       The form of standard output [default: text] [possible values: text,
                                json, yaml]
      -q, --quiet               Say nothing but results and failures
      -v, --verbose...          Say more; twice: also what devenv does inside
          --yes                 Answer every question with yes
          --timeout <DURATION>  How long the command may take in all, such as `90s` or `5m`
          --no-color            Use no colours; so does `NO_COLOR`

    Examples:
      source <(devenv completions bash)                              # this shell
      devenv completions fish > ~/.config/fish/completions/devenv.fish
    ");
}

#[test]
fn a_wrong_verb_ends_with_2_and_a_proposal() {
    insta::assert_snapshot!(TestEnvironment::new().devenv(["versoin"]), @r"
    ------- stderr -------
    error[usage.invalid]: Unrecognized subcommand 'versoin'
      try:
        did you mean `version` or `session`?
        devenv [OPTIONS] <COMMAND>   # --help explains it
    [exit code: 2]
    ");
}

#[test]
fn a_wrong_value_ends_with_2_and_says_what_is_right() {
    insta::assert_snapshot!(TestEnvironment::new().devenv(["version", "--timeout", "5"]), @r"
    ------- stderr -------
    error[usage.invalid]: Invalid value '5' for '--timeout <DURATION>': `5` is not a duration: write
        it like `90s`, `5m` or `1h30m`
      try:
        devenv version --help
    [exit code: 2]
    ");
    insta::assert_snapshot!(TestEnvironment::new().devenv(["version", "-o", "xml"]), @r"
    ------- stderr -------
    error[usage.invalid]: Invalid value 'xml' for '--output <FORM>'
      why:   [possible values: text, json, yaml]
      try:
        did you mean `yaml`?
        devenv version --help
    [exit code: 2]
    ");
}

#[test]
fn a_failure_to_read_the_arguments_is_a_document_too() {
    let mut environment = TestEnvironment::new();
    for arguments in [
        &["nope", "-o", "json"][..],
        &["--output=json", "version", "--nope"],
    ] {
        let output = environment.devenv(arguments);
        assert_eq!(output.code, Some(2), "{output}");
        let document = output.document();
        assert_eq!(document["schema"], "devenv.failure/1");
        assert_eq!(document["exitCode"], 2);
        assert_eq!(document["failures"][0]["code"], "usage.invalid");
        assert_eq!(output.stderr, "");
    }
    environment.set("DEVENV_OUTPUT", "json");
    let output = environment.devenv(["nope"]);
    assert_eq!(output.document()["exitCode"], 2);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    insta::assert_snapshot!(TestEnvironment::new().devenv(["version", "-C", "nowhere"]), @r"
    ------- stderr -------
    error[usage.no-directory]: The directory nowhere cannot be used
      why:   No such file or directory (os error 2)
      try:
        ls -ld nowhere
    [exit code: 2]
    ");
}

#[test]
fn what_a_user_typed_cannot_drive_the_terminal() {
    let output = TestEnvironment::new().devenv(["\x1b]0;owned\x07"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(!output.stderr.contains('\x1b'), "{output}");
}

#[test]
fn a_command_that_has_others_below_it_shows_them_and_ends_with_2() {
    let output = TestEnvironment::new().devenv(["session"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stdout.contains("Usage: devenv session"), "{output}");
    assert!(!output.stdout.contains("  run "), "{output}");
}
