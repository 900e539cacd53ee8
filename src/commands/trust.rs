//! What a manifest would run on this machine is confirmed before it does, once.

use super::{Consent, Context};
use crate::{
    domain::{ExitClass, Failure, Failures, HostCommand, HostMoment, NoticeLevel, not_confirmed},
    features::Project,
    state::approve,
};

impl Context {
    /// Has the user confirm the commands that a verb may run on this machine at these moments, unless that was done before.
    /// Nothing has happened yet when this fails.
    pub(super) async fn confirm_commands(
        &self,
        project: &Project,
        verb: &str,
        moments: &[HostMoment],
    ) -> Result<(), Failures> {
        let mut commands = project.environment.host_commands();
        commands.retain(|command| moments.contains(&command.moment));
        if commands.is_empty() {
            return Ok(());
        }
        let trust = project.trust()?;
        commands.retain(|command| !trust.allows(command));
        if commands.is_empty() {
            return Ok(());
        }
        let directory = &project.environment.directory;
        match self.consent {
            Consent::Given => self.tell(&commands, project).await,
            Consent::Ask if self.can_ask() => {
                let about = commands.iter().flat_map(|command| command.shown(directory));
                if !self.ask(about.collect(), &question(&commands)).await {
                    return Err(declined().into());
                }
            }
            Consent::Ask => return Err(not_confirmed(&commands, directory, verb).into()),
        }
        let approving = approve(&project.paths, directory, &commands).await;
        approving.map_err(|error| error.failure().into())
    }

    /// Says what `--yes` has confirmed.
    async fn tell(&self, commands: &[HostCommand], project: &Project) {
        for command in commands {
            let shown = command.shown(&project.environment.directory).join(" ");
            let text = format!("confirmed by --yes, to run on this machine: {shown}");
            self.outbox.notice(NoticeLevel::Info, text).await;
        }
    }
}

fn question(commands: &[HostCommand]) -> String {
    let what = match commands.len() {
        1 => "This command runs".to_owned(),
        number => format!("These {number} commands run"),
    };
    format!(
        "{what} on this machine, with your rights, because the manifest says so. Is that what you want, now and later?"
    )
}

fn declined() -> Failure {
    Failure::new(
        "usage.declined",
        ExitClass::Usage,
        "nothing was done, as you did not agree to what the manifest runs on this machine",
    )
    .help("devenv config show hooks   # what it says, and `config explain` where")
}
