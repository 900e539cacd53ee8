//! The address of a service, shown in the user's browser.

use std::time::Duration;

use super::Project;
use crate::{
    adapters::{
        host::{PortState, port_state},
        process::{self, ChildEnvironment, Invocation, Launched},
    },
    domain::{ExitClass, Failure, NoticeLevel, ServiceName, Source},
    report::{Open, Outbox},
};

/// How long the program that shows an address is watched: it fails at once or not at all.
const LOOK_FOR: Duration = Duration::from_secs(2);

/// Whether a browser is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The address alone.
    Address,
    /// A browser with it, where there is a screen.
    Browser,
}

/// The first address of a service; a browser is asked to show it if `show` says so.
///
/// A browser that cannot be started is a notice: the address is worth having without it.
pub async fn open(
    project: &Project,
    service: &ServiceName,
    show: Show,
    outbox: &Outbox,
) -> Result<Open, Failure> {
    let first = project.urls().remove(service).unwrap_or_default();
    let Some(url) = first.into_iter().next() else {
        return Err(not_exposed(project, service));
    };
    let opened = match (show, opener(project)) {
        (Show::Browser, Some(program)) => match launch(project, &program, &url).await {
            Ok(()) => true,
            Err(why) => {
                let text = format!("no browser was opened: {why}");
                outbox.notice(NoticeLevel::Warning, text).await;
                false
            }
        },
        _ => false,
    };
    Ok(Open {
        service: service.to_string(),
        url,
        opened,
    })
}

/// The failure if nothing of this machine answers where the services are to be reached.
pub fn check_served(project: &Project) -> Result<(), Failure> {
    let port = project.environment.cluster.http_port;
    if port_state(port) != PortState::Free {
        return Ok(());
    }
    Err(Failure::new(
        "cluster.not-running",
        ExitClass::Cluster,
        "the environment does not run",
    )
    .because(format!("nothing listens on port {port} of this machine"))
    .help("devenv up"))
}

/// The program that shows an address in the browser that the user chose; `None` without a screen.
///
/// `$BROWSER` is asked first: where there is no screen, it may lead to one, as editors' terminals do.
fn opener(project: &Project) -> Option<String> {
    let get = |name| {
        project
            .variables
            .get(name)
            .filter(|value| !value.is_empty())
    };
    let chosen = get("BROWSER").and_then(|list| list.split(':').find(|name| !name.is_empty()));
    if let Some(program) = chosen {
        return Some(program.to_owned());
    }
    if cfg!(target_os = "macos") {
        return Some("open".to_owned());
    }
    let has_screen = get("DISPLAY").or_else(|| get("WAYLAND_DISPLAY")).is_some();
    has_screen.then(|| "xdg-open".to_owned())
}

async fn launch(project: &Project, program: &str, url: &str) -> Result<(), String> {
    // A browser is the user's own program: it gets all of the user's environment.
    let variables = project.variables.iter();
    let environment = variables.fold(ChildEnvironment::default(), |all, (name, value)| {
        all.with(name, value)
    });
    let invocation = Invocation::new(program, environment, LOOK_FOR).arg(url);
    match process::launch(&invocation).await {
        Ok(Launched::Runs | Launched::Ended(0)) => Ok(()),
        Ok(Launched::Ended(code)) => Err(format!("{program} ended with exit code {code}")),
        Err(error) => Err(error.to_string()),
    }
}

fn not_exposed(project: &Project, service: &ServiceName) -> Failure {
    let key = format!("services.{service}");
    let failure = Failure::new(
        "service.not-exposed",
        ExitClass::Usage,
        format!("{service} has no address on this machine"),
    )
    .of(service)
    .at(project.environment.provenance.place(&key).cloned());
    let source = project.environment.services.get(service).map(|s| &s.source);
    match source {
        Some(Source::Workload(_)) => failure
            .because("it has no `expose`")
            .help(format!("add `expose: {{ host: {service}.localhost }}` to it, then: devenv up {service}")),
        _ => failure
            .because("devenv knows the addresses of `expose` alone; this service comes from a chart or from manifests")
            .help("kubectl --kubeconfig \"$(devenv kubeconfig)\" get ingress"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::testing::name,
        features::project::testing::{expose, project},
    };

    #[tokio::test]
    async fn the_first_address_is_told_and_without_a_screen_nothing_is_opened() {
        let mut project = project(&[("web", &[])]);
        expose(&mut project, "web", &["shop.localhost", "other.localhost"]);
        let (outbox, _message_rx) = Outbox::new();
        let open = open(&project, &name("web"), Show::Browser, &outbox).await;
        let open = open.unwrap();
        assert_eq!(open.url, "http://shop.localhost:8080/");
        assert!(!open.opened);
    }

    #[tokio::test]
    async fn a_service_without_an_address_is_told_what_to_add() {
        let project = project(&[("web", &[])]);
        let (outbox, _message_rx) = Outbox::new();
        let failure = open(&project, &name("web"), Show::Address, &outbox).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.code.0, "service.not-exposed");
        assert!(failure.help[0].contains("expose: { host: web.localhost }"));
    }

    #[test]
    fn a_browser_needs_a_screen() {
        let mut project = project(&[]);
        assert_eq!(opener(&project).is_some(), cfg!(target_os = "macos"));
        project.variables = [("WAYLAND_DISPLAY", "wayland-0")].into_iter().collect();
        assert!(opener(&project).is_some());
        project.variables = [("BROWSER", "w3m:lynx")].into_iter().collect();
        assert_eq!(opener(&project).unwrap(), "w3m");
    }
}
