//! A command is killed at every moment that it tells of: each step that it starts, and each that it has done.

use super::assert_converged;
use crate::{program::Project, say};

/// Which commands are killed at every moment.
enum Reach {
    /// Those that no other test kills at their steps.
    Others,
    All,
}

impl Reach {
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    fn wanted() -> Self {
        match std::env::var("DEVENV_CRASHES").as_deref() {
            Ok("all") => Self::All,
            _ => Self::Others,
        }
    }
}

/// A command that is killed.
struct Swept {
    words: &'static [&'static str],
    /// What comes before it each time, with the number of the time.
    prepare: fn(&Project, usize),
    /// What holds once it was run to its end.
    holds: fn(&Project),
}

const SERVICES: [&str; 2] = ["store", "web"];
const PODS: usize = 3;

const SCALE: Swept = Swept {
    words: &["scale", "web=3"],
    prepare: |project, _| run(project, &["scale", "web=1"]),
    holds: |project| {
        let pods = project.pods();
        let of_web = pods.iter().filter(|pod| pod.starts_with("web-")).count();
        assert_eq!(of_web, PODS, "{pods:?}");
    },
};

const ALL: [Swept; 4] = [
    Swept {
        words: &["up"],
        prepare: |project, number| {
            let dockerfile = format!("FROM {}\nRUN echo {number}\n", crate::program::BASE);
            project.write("image/Dockerfile", &dockerfile);
        },
        holds: |project| assert_converged(project, &SERVICES),
    },
    Swept {
        words: &["stop"],
        prepare: |project, _| run(project, &["up"]),
        holds: |project| {
            let containers = project.containers();
            let is_running = |state: &String| state == "running";
            assert!(!containers.values().any(is_running), "{containers:?}");
        },
    },
    Swept {
        words: &["down"],
        prepare: |project, _| run(project, &["up"]),
        holds: |project| assert!(project.containers().is_empty()),
    },
    Swept {
        words: &["up"],
        prepare: |project, _| run(project, &["down"]),
        holds: |project| assert_converged(project, &SERVICES),
    },
];

/// Kills commands of an environment that is up, which it is again afterwards.
pub(super) fn sweep(project: &Project) {
    SCALE.sweep(project);
    run(project, &["scale", "web=1"]);
    if let Reach::All = Reach::wanted() {
        for swept in ALL {
            swept.sweep(project);
        }
    }
    run(project, &["up"]);
    assert_converged(project, &SERVICES);
}

impl Swept {
    fn sweep(&self, project: &Project) {
        let name = self.words.join(" ");
        (self.prepare)(project, 0);
        let ended = project.running(self.words).end().assert_code(0);
        let moments = moments(&ended.said);
        assert!(moments.len() > 1, "{}", ended.said);
        let mut killed = 0;
        for (number, moment) in moments.iter().enumerate() {
            (self.prepare)(project, number + 1);
            let mut running = project.running(self.words);
            // What it says last may be the end of it.
            if running.until_it_says_or_ends(moment) {
                running.kill_at_last();
                killed += 1;
            }
            // Whoever only looks is not held up by what is left.
            let looked = project.devenv(&["status"]);
            assert!(matches!(looked.code, Some(0 | 5 | 6)), "{moment}: {looked}");
            run(project, self.words);
            (self.holds)(project);
            assert_eq!(project.processes(), "", "{moment}");
        }
        assert!(killed > 1, "{name}: {moments:?}");
        say(&format!("           {name} was killed at {killed} moments"));
    }
}

fn run(project: &Project, words: &[&str]) {
    project.devenv(words).assert_code(0);
}

/// The steps that a command said to have started and to have done, as it says them.
fn moments(said: &str) -> Vec<String> {
    let moments = said.lines().filter_map(|line| {
        let at = line.find("started  ").or_else(|| line.find("done     "))?;
        // How long it took is another time each time.
        let moment = line[at..].split(" (").next()?;
        Some(moment.to_owned())
    });
    moments.collect()
}
