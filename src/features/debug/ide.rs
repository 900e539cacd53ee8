//! What an IDE needs to attach to a debugger.

use serde_json::{Value, json};

use crate::domain::{DebugRuntime, ServiceName};

/// Where to attach, and where the sources are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attach {
    /// The service.
    pub(super) service: ServiceName,
    /// What runs it.
    pub(super) runtime: DebugRuntime,
    /// The port of this machine.
    pub(super) port: u16,
    /// The directories that are the same on both sides, if any is known.
    pub(super) sources: Option<Sources>,
}

/// A directory of sources on this machine, and where the process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    /// Relative to the project; empty for the project itself.
    pub(super) local: String,
    /// Absolute, in the container.
    pub(super) remote: String,
}

impl Attach {
    /// What the configuration is called.
    pub(super) fn name(&self) -> String {
        format!("devenv: {}", self.service)
    }

    /// The configuration for VS Code's `launch.json`; `None` where VS Code has no debugger of its own for the runtime.
    pub(super) fn vscode(&self) -> Option<Value> {
        let local = self.local("${workspaceFolder}");
        let remote = self.sources.as_ref().map(|sources| sources.remote.as_str());
        let mut configuration = match self.runtime {
            DebugRuntime::Node => json!({
                "type": "node", "address": "127.0.0.1", "port": self.port,
                "restart": true, "skipFiles": ["<node_internals>/**"],
            }),
            DebugRuntime::Python => json!({
                "type": "debugpy", "connect": { "host": "127.0.0.1", "port": self.port },
                "justMyCode": false,
            }),
            DebugRuntime::Go => json!({
                "type": "go", "mode": "remote", "host": "127.0.0.1", "port": self.port,
            }),
            DebugRuntime::Jvm => {
                json!({ "type": "java", "hostName": "127.0.0.1", "port": self.port })
            }
            DebugRuntime::Other => return None,
        };
        if let (Some(local), Some(remote)) = (local, remote) {
            match self.runtime {
                DebugRuntime::Node => {
                    configuration["localRoot"] = json!(local);
                    configuration["remoteRoot"] = json!(remote);
                }
                DebugRuntime::Python => {
                    configuration["pathMappings"] =
                        json!([{ "localRoot": local, "remoteRoot": remote }]);
                }
                DebugRuntime::Go => {
                    configuration["substitutePath"] = json!([{ "from": local, "to": remote }]);
                }
                DebugRuntime::Jvm | DebugRuntime::Other => {}
            }
        }
        let mut named = json!({ "name": self.name(), "request": "attach" });
        if let (Some(named), Value::Object(rest)) = (named.as_object_mut(), configuration) {
            named.extend(rest);
        }
        Some(named)
    }

    /// The run configuration for a JetBrains IDE; `None` where those have none that attaches to the debugger.
    pub(super) fn jetbrains(&self) -> Option<String> {
        let (kind, factory, attributes) = match self.runtime {
            DebugRuntime::Node => (
                "ChromiumRemoteDebugType",
                "Chromium Remote",
                format!(" host=\"127.0.0.1\" port=\"{}\"", self.port),
            ),
            DebugRuntime::Go => (
                "GoRemoteDebugConfigurationType",
                "Go Remote",
                format!(" host=\"127.0.0.1\" port=\"{}\"", self.port),
            ),
            DebugRuntime::Jvm => ("Remote", "Remote", String::new()),
            DebugRuntime::Python | DebugRuntime::Other => return None,
        };
        let name = escaped(&self.name());
        let inside = self.jetbrains_inside();
        Some(format!(
            "<component name=\"ProjectRunConfigurationManager\">\n  \
             <configuration default=\"false\" name=\"{name}\" type=\"{kind}\" factoryName=\"{factory}\"{attributes}>\n\
             {inside}    <method v=\"2\" />\n  </configuration>\n</component>\n"
        ))
    }

    fn jetbrains_inside(&self) -> String {
        let port = self.port.to_string();
        let options = [
            ("USE_SOCKET_TRANSPORT", "true"),
            ("SERVER_MODE", "false"),
            ("HOST", "127.0.0.1"),
            ("PORT", port.as_str()),
        ];
        match (self.runtime, &self.sources) {
            (DebugRuntime::Jvm, _) => options
                .iter()
                .map(|(name, value)| format!("    <option name=\"{name}\" value=\"{value}\" />\n"))
                .collect(),
            (DebugRuntime::Node, Some(sources)) => format!(
                "    <mapping url=\"file://{}\" local-file=\"{}\" />\n",
                escaped(&sources.remote),
                escaped(&self.local("$PROJECT_DIR$").unwrap_or_default()),
            ),
            _ => String::new(),
        }
    }

    fn local(&self, project: &str) -> Option<String> {
        let sources = self.sources.as_ref()?;
        Some(if sources.local.is_empty() {
            project.to_owned()
        } else {
            format!("{project}/{}", sources.local)
        })
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::name;

    fn attach(runtime: DebugRuntime) -> Attach {
        Attach {
            service: name("web"),
            runtime,
            port: 9229,
            sources: Some(Sources {
                local: "web/src".to_owned(),
                remote: "/app/src".to_owned(),
            }),
        }
    }

    #[test]
    fn vscode_is_told_where_to_attach_and_which_files_are_the_same() {
        let node = attach(DebugRuntime::Node).vscode().unwrap();
        assert_eq!(node["name"], "devenv: web");
        assert_eq!(node["localRoot"], "${workspaceFolder}/web/src");
        assert_eq!(node["remoteRoot"], "/app/src");
        let python = attach(DebugRuntime::Python).vscode().unwrap();
        assert_eq!(python["connect"]["port"], 9229);
        assert_eq!(python["pathMappings"][0]["remoteRoot"], "/app/src");
        let go = attach(DebugRuntime::Go).vscode().unwrap();
        assert_eq!(go["substitutePath"][0]["to"], "/app/src");
        assert_eq!(attach(DebugRuntime::Other).vscode(), None);
    }

    #[test]
    fn a_jetbrains_ide_gets_a_configuration_of_its_own_kind() {
        let node = attach(DebugRuntime::Node).jetbrains().unwrap();
        assert!(node.contains("type=\"ChromiumRemoteDebugType\""));
        assert!(node.contains("local-file=\"$PROJECT_DIR$/web/src\""));
        let jvm = attach(DebugRuntime::Jvm).jetbrains().unwrap();
        assert!(jvm.contains("<option name=\"PORT\" value=\"9229\" />"));
        assert_eq!(attach(DebugRuntime::Python).jetbrains(), None);
    }
}
