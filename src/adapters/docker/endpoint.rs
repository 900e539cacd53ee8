//! Where the docker engine is.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::DockerError;
use crate::adapters::{
    files,
    host::{DockerVariables, HostEnvironment},
};

/// Where the engine listens when nothing says otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The engine's port without TLS.
const DEFAULT_PORT: u16 = 2375;
/// The context that stands for "nothing says otherwise".
const DEFAULT_CONTEXT: &str = "default";

/// An address of the engine's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port without TLS.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// The parts of docker's `config.json` that matter here.
#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

/// The parts of a context's `meta.json` that matter here.
#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: Endpoints,
}

#[derive(Deserialize, Default)]
struct Endpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

impl Endpoint {
    /// As docker's own tools find it: `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the current context, then the
    /// default socket.
    pub fn of(environment: &HostEnvironment) -> Result<Self, DockerError> {
        let variables = &environment.docker;
        if let Some(host) = &variables.host {
            return Self::parse(host);
        }
        let context = match &variables.context {
            Some(context) => Some(context.clone()),
            None => current_context(variables)?,
        };
        match context {
            Some(name) if name != DEFAULT_CONTEXT => {
                Self::parse(&host_of_context(variables, &name)?)
            }
            _ => Ok(Self::Unix(DEFAULT_SOCKET.into())),
        }
    }

    fn parse(host: &str) -> Result<Self, DockerError> {
        let unsupported = |reason| DockerError::UnsupportedHost {
            host: host.to_owned(),
            reason,
        };
        let (scheme, rest) = host
            .split_once("://")
            .ok_or_else(|| unsupported("it has no `unix://` or `tcp://`"))?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(unsupported("the path of the socket is not absolute")),
            "tcp" | "http" => {
                let address = rest.trim_end_matches('/');
                let (host, port) = match address.rsplit_once(':') {
                    Some((host, port)) => {
                        let port = port
                            .parse()
                            .map_err(|_| unsupported("the port is no number"))?;
                        (host, port)
                    }
                    None => (address, DEFAULT_PORT),
                };
                Ok(Self::Tcp {
                    host: host.trim_matches(['[', ']']).to_owned(),
                    port,
                })
            }
            "ssh" | "https" | "npipe" => Err(unsupported(
                "devenv needs an engine on this machine: the cluster mounts local directories and listens on 127.0.0.1",
            )),
            _ => Err(unsupported("devenv knows `unix://` and `tcp://`")),
        }
    }
}

fn current_context(variables: &DockerVariables) -> Result<Option<String>, DockerError> {
    let Some(directory) = &variables.config else {
        return Ok(None);
    };
    let path = directory.join("config.json");
    let Some(text) = files::read_text_if_there(&path)? else {
        return Ok(None);
    };
    let config: Config = parse_json(&path, &text)?;
    Ok(config.current_context.filter(|name| !name.is_empty()))
}

fn host_of_context(variables: &DockerVariables, name: &str) -> Result<String, DockerError> {
    let unknown = || DockerError::UnknownContext {
        name: name.to_owned(),
    };
    let directory = variables.config.as_deref().ok_or_else(unknown)?;
    // The directories are named by a hash of the context's name; there are few, so each is looked into.
    let metas = files::list(&directory.join("contexts/meta")).unwrap_or_default();
    for meta in metas {
        let path = meta.join("meta.json");
        let Some(text) = files::read_text_if_there(&path)? else {
            continue;
        };
        let meta: ContextMeta = parse_json(&path, &text)?;
        if meta.name == name {
            return meta
                .endpoints
                .docker
                .map(|endpoint| endpoint.host)
                .filter(|host| !host.is_empty())
                .ok_or_else(unknown);
        }
    }
    Err(unknown())
}

fn parse_json<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, DockerError> {
    serde_json::from_str(text).map_err(|source| DockerError::BadConfig {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(home: &Path, variables: &[(&str, &str)]) -> Result<Endpoint, DockerError> {
        let mut all = vec![("HOME".to_owned(), home.display().to_string())];
        all.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Endpoint::of(&HostEnvironment::from_variables(all))
    }

    fn home_with_context() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = home.path().join(".docker").join(path);
            files::create_dir(path.parent().unwrap()).unwrap();
            files::write_private(&path, text.as_bytes()).unwrap();
        };
        write(
            "config.json",
            r#"{"auths": {}, "currentContext": "desktop"}"#,
        );
        write(
            "contexts/meta/abc/meta.json",
            r#"{"Name": "desktop", "Metadata": {}, "Endpoints": {"docker": {"Host": "unix:///run/desktop.sock", "SkipTLSVerify": false}}}"#,
        );
        home
    }

    #[test]
    fn the_variable_goes_before_the_context_before_the_default() {
        let home = home_with_context();
        let unix = |path: &str| Endpoint::Unix(path.into());
        assert_eq!(find(home.path(), &[]).unwrap(), unix("/run/desktop.sock"));
        assert_eq!(
            find(home.path(), &[("DOCKER_HOST", "unix:///x.sock")]).unwrap(),
            unix("/x.sock")
        );
        assert_eq!(
            find(home.path(), &[("DOCKER_CONTEXT", "default")]).unwrap(),
            unix(DEFAULT_SOCKET)
        );
        assert_eq!(
            find(Path::new("/nowhere"), &[]).unwrap(),
            unix(DEFAULT_SOCKET)
        );
    }

    #[test]
    fn a_context_that_is_not_there_is_named() {
        let home = home_with_context();
        let error = find(home.path(), &[("DOCKER_CONTEXT", "other")]).unwrap_err();
        assert_eq!(error.failure().code.0, "docker.bad-context");
        assert!(error.to_string().contains("other"));
    }

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        let tcp = |host: &str, port| Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        assert_eq!(
            Endpoint::parse("tcp://localhost").unwrap(),
            tcp("localhost", 2375)
        );
        assert_eq!(
            Endpoint::parse("tcp://127.0.0.1:9999/").unwrap(),
            tcp("127.0.0.1", 9999)
        );
        assert_eq!(Endpoint::parse("tcp://[::1]:1").unwrap(), tcp("::1", 1));
        for bad in [
            "/var/run/docker.sock",
            "ssh://host",
            "https://host",
            "unix://rel",
            "tcp://a:b",
        ] {
            let failure = Endpoint::parse(bad).unwrap_err().failure();
            assert_eq!(failure.code.0, "docker.unsupported-host", "{bad}");
        }
    }
}
