//! `devenv completions`, and the answers to a shell that asks.

use crate::support::TestEnvironment;

#[test]
fn each_shell_gets_its_script() {
    let environment = TestEnvironment::new();
    for (shell, sign) in [
        ("bash", "complete -o"),
        ("zsh", "#compdef devenv"),
        ("fish", "complete --keep-order"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = environment.devenv(["completions", shell]);
        assert_eq!(output.code, Some(0), "{output}");
        assert!(output.stdout.contains(sign), "{shell}: {output}");
    }
}

#[test]
fn the_shell_follows_from_the_variable() {
    let mut environment = TestEnvironment::new();
    environment.set("SHELL", "/usr/bin/fish");
    let output = environment.devenv(["completions", "-o", "json"]);
    assert_eq!(output.document()["shell"], "fish");
}

#[test]
fn an_unknown_shell_is_a_usage_failure_that_says_what_to_type() {
    let mut environment = TestEnvironment::new();
    environment.set("SHELL", "/bin/unheard-of");
    insta::assert_snapshot!(environment.devenv(["completions"]), @r"
    ------- stderr -------
    error[usage.unknown-shell]: The shell is not known
      why:   $SHELL names none that can be completed
      try:
        devenv completions bash   # or zsh, fish, elvish, powershell
    [exit code: 2]
    ");
}

#[test]
fn a_shell_that_asks_gets_the_verbs() {
    let mut environment = TestEnvironment::new();
    environment.set("COMPLETE", "bash");
    environment.set("_CLAP_COMPLETE_INDEX", "1");
    environment.set("_CLAP_IFS", "\n");
    let output = environment.devenv(["--", "devenv", "ver"]);
    assert_eq!(output.to_string(), "version");
}
