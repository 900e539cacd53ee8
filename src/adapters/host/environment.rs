//! The environment variables, read once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What devenv takes from the environment of its process; nothing reads a variable later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEnvironment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// Where configuration belongs: `XDG_CONFIG_HOME`, else `~/.config`. `None` without a home.
    pub config_home: Option<PathBuf>,
    /// Where state belongs: `XDG_STATE_HOME`, else `~/.local/state`.
    pub state_home: Option<PathBuf>,
    /// Where data belongs: `XDG_DATA_HOME`, else `~/.local/share`.
    pub data_home: Option<PathBuf>,
    /// Where caches belong: `XDG_CACHE_HOME`, else `~/.cache`.
    pub cache_home: Option<PathBuf>,
    /// Where sockets belong: `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The directories of `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// `USER`.
    pub user: Option<String>,
    /// `SHELL`.
    pub shell: Option<String>,
    /// The locale of characters: `LC_ALL`, else `LC_CTYPE`, else `LANG`.
    pub locale: Option<String>,
    /// What says where the docker engine is.
    pub docker: DockerVariables,
    /// What says how to show things.
    pub terminal: TerminalVariables,
    /// All that begin with `DEVENV_`, with their whole names.
    pub devenv: BTreeMap<String, String>,
}

/// What says where the docker engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DockerVariables {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_CONFIG`, else `~/.docker`.
    pub config: Option<PathBuf>,
}

/// What says how to show things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TerminalVariables {
    /// Whether `NO_COLOR` is set to something.
    pub no_color: bool,
    /// Whether `TERM` is `dumb`.
    pub dumb: bool,
    /// Whether `CI` is set to something but `false`.
    pub ci: bool,
    /// `COLUMNS`.
    pub columns: Option<usize>,
}

impl HostEnvironment {
    /// What the given variables say.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        // An empty variable means the same as none.
        let variables: BTreeMap<String, String> = variables
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let text = |name: &str| variables.get(name).cloned();
        // The XDG specification wants relative paths to be ignored.
        let absolute = |name: &str| {
            text(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = absolute("HOME");
        let below_home = |name: &str, default: &str| {
            absolute(name).or_else(|| home.as_deref().map(|home| home.join(default)))
        };
        Self {
            config_home: below_home("XDG_CONFIG_HOME", ".config"),
            state_home: below_home("XDG_STATE_HOME", ".local/state"),
            data_home: below_home("XDG_DATA_HOME", ".local/share"),
            cache_home: below_home("XDG_CACHE_HOME", ".cache"),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
            path: text("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            user: text("USER"),
            shell: text("SHELL"),
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text),
            docker: DockerVariables {
                host: text("DOCKER_HOST"),
                context: text("DOCKER_CONTEXT"),
                config: below_home("DOCKER_CONFIG", ".docker"),
            },
            terminal: TerminalVariables {
                no_color: variables.contains_key("NO_COLOR"),
                dumb: text("TERM").is_some_and(|term| term == "dumb"),
                ci: text("CI").is_some_and(|ci| ci != "false"),
                columns: text("COLUMNS").and_then(|columns| columns.parse().ok()),
            },
            devenv: variables
                .iter()
                .filter(|(name, _)| name.starts_with("DEVENV_"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            home,
        }
    }

    /// Whether the locale's characters are UTF-8, so that signs beyond ASCII can be shown.
    pub fn shows_unicode(&self) -> bool {
        self.locale.as_ref().is_some_and(|locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    }

    /// The first executable file called `program` in `PATH`.
    pub fn find_program(&self, program: &str) -> Option<PathBuf> {
        self.path
            .iter()
            .map(|directory| directory.join(program))
            .find(|candidate| is_executable(candidate))
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> HostEnvironment {
        HostEnvironment::from_variables(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn directories_follow_from_home_unless_they_are_set_and_absolute() {
        let host = of(&[
            ("HOME", "/h"),
            ("XDG_DATA_HOME", "/d"),
            ("XDG_STATE_HOME", "rel"),
        ]);
        assert_eq!(host.data_home, Some("/d".into()));
        assert_eq!(host.state_home, Some("/h/.local/state".into()));
        assert_eq!(host.config_home, Some("/h/.config".into()));
        assert_eq!(host.docker.config, Some("/h/.docker".into()));
        assert_eq!(of(&[]).state_home, None);
    }

    #[test]
    fn an_empty_variable_is_none() {
        let host = of(&[("NO_COLOR", ""), ("DOCKER_HOST", ""), ("CI", "false")]);
        assert_eq!(host.terminal, TerminalVariables::default());
        assert_eq!(host.docker.host, None);
    }

    #[test]
    fn the_locale_says_which_characters_can_be_shown() {
        assert!(of(&[("LANG", "en_US.UTF-8")]).shows_unicode());
        assert!(!of(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]).shows_unicode());
    }

    #[test]
    fn our_own_variables_are_kept() {
        let host = of(&[("DEVENV_TIMEOUT", "5m"), ("OTHER", "x")]);
        assert_eq!(host.devenv.len(), 1);
        assert_eq!(host.devenv["DEVENV_TIMEOUT"], "5m");
    }

    #[test]
    fn a_program_is_found_in_the_order_of_the_path() {
        let host = of(&[("PATH", "/nowhere:/bin:/usr/bin")]);
        assert_eq!(host.find_program("sh"), Some("/bin/sh".into()));
        assert_eq!(host.find_program("no-such-program"), None);
    }
}
