//! What a child finds in its environment: only what is named here or by the caller.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::ProcessError;

/// Variables of the user's that tools need to work as they do from the user's shell: where programs
/// are, how docker is reached, how the network is. `KUBECONFIG` is not among them, on purpose.
const INHERITED: &[&str] = &[
    "ALL_PROXY",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "NO_PROXY",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The whole environment of a child.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChildEnvironment(BTreeMap<OsString, OsString>);

impl ChildEnvironment {
    /// What tools need of `variables`, the environment of this process.
    pub fn inherit(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(name, _)| INHERITED.iter().any(|known| name == known))
                .collect(),
        )
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Every variable.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The file of a program: itself if it has a slash, else the first executable of that name on `PATH`.
    pub fn find(&self, program: &Path) -> Result<PathBuf, ProcessError> {
        if program.as_os_str().as_bytes().contains(&b'/') {
            return match executable(program) {
                Found::Executable => Ok(program.to_owned()),
                Found::NotExecutable => Err(ProcessError::NotExecutable {
                    path: program.to_owned(),
                }),
                Found::Nothing => Err(ProcessError::NotFound {
                    program: program.to_owned(),
                }),
            };
        }
        let path = self.0.get(OsStr::new("PATH"));
        let mut refused = None;
        for directory in path.iter().flat_map(std::env::split_paths) {
            let candidate = directory.join(program);
            match executable(&candidate) {
                Found::Executable => return Ok(candidate),
                Found::NotExecutable => {
                    refused.get_or_insert(candidate);
                }
                Found::Nothing => {}
            }
        }
        Err(match refused {
            Some(path) => ProcessError::NotExecutable { path },
            None => ProcessError::NotFound {
                program: program.to_owned(),
            },
        })
    }
}

/// Values may be secrets: names only.
impl std::fmt::Debug for ChildEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

enum Found {
    Executable,
    NotExecutable,
    Nothing,
}

fn executable(path: &Path) -> Found {
    if !path.is_file() {
        return Found::Nothing;
    }
    match rustix::fs::access(path, rustix::fs::Access::EXEC_OK) {
        Ok(()) => Found::Executable,
        Err(_) => Found::NotExecutable,
    }
}
