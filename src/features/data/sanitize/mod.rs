//! Copies of data that anybody may see: rows and values are replaced by rules, and what no rule names is left out.
//!
//! A copy of a snapshot's data is started in a pod of its own, changed there by the database itself, written out, and
//! read by another pod that began with empty volumes. Only the second one's data is exported, or takes the place of what
//! is there: it has never held what was replaced (decision 15).

mod catalogue;
mod database;
mod export;
mod matching;
mod restore;
mod scratch;
mod script;
mod transfer;

pub(super) use self::scratch::remove_pods;
use self::{
    catalogue::Catalogue,
    database::{Login, refused},
    matching::TablePlan,
    scratch::Scratch,
    script::{Done, Key, Script},
};
pub use self::{export::export_sanitized, restore::restore_sanitized};
use super::{
    save::{self, Written},
    site::{Site, Store, new_id, tell, volumes, volumes_of},
    steps::{Limits, Steps},
};
use crate::{
    adapters::{host, kube::NotRun},
    domain::{
        CopyMeans, DatabaseRules, Environment, ExitClass, Failure, Failures, NoticeLevel,
        SanitizeRules, ServiceName, Snapshot, SnapshotId, SnapshotVolume, VolumeRef,
    },
    engine::Progress,
    report::{SanitizedColumn, SanitizedData, SanitizedDatabase, SanitizedTable},
};

/// The context of keys that are made of a seed.
const SEED: &str = "devenv 2026-11 sanitize seed";

/// What is done first, by id.
fn titles(rules: &SanitizeRules) -> Vec<(String, String)> {
    let mut titles = vec![(
        "copy".to_owned(),
        "copy the data that the rules are about".to_owned(),
    )];
    for service in rules.services.keys() {
        titles.push((
            step("change", service),
            format!("apply the rules to the copy of {service}"),
        ));
        titles.push((
            step("load", service),
            format!("load what is left into an empty {service}"),
        ));
    }
    titles
}

fn step(what: &str, service: &ServiceName) -> String {
    format!("{what}-{service}")
}

/// The key of all replacements.
fn key(rules: &SanitizeRules) -> Result<Key, Failure> {
    match &rules.seed {
        Some(seed) => Ok(Key(blake3::derive_key(SEED, seed.0.as_bytes()))),
        None => host::secret().map(Key).map_err(|error| error.failure()),
    }
}

/// Refuses rules about services of which a snapshot holds nothing, and about those whose pods are a chart's: one like
/// them, on a copy, cannot be made.
fn check(
    rules: &SanitizeRules,
    snapshot: &Snapshot,
    environment: &Environment,
) -> Result<(), Failures> {
    let holds = snapshot.services();
    let named = rules.services.iter().map(|(name, it)| (name, &it.place));
    let named = named.chain(rules.keep.iter().map(|kept| (&kept.what, &kept.place)));
    let missing = named.filter(|(name, _)| !holds.contains(name));
    let failures = missing.map(|(name, place)| {
        let holds: Vec<&str> = holds.iter().map(|name| name.as_str()).collect();
        let what = format!("the snapshot {} holds no data of {name}", snapshot.name);
        Failure::new("sanitize.no-data", ExitClass::Manifest, what)
            .at(Some(place.clone()))
            .help(format!("it holds the data of {}", holds.join(", ")))
    });
    let of_charts = rules.services.iter().filter(|(name, _)| {
        let service = environment.services.get(*name);
        service.is_some_and(|service| service.workload().is_none())
    });
    let refused = of_charts.map(|(name, rules)| {
        let what = format!("the data of {name} cannot be changed: a chart makes its pods");
        Failure::new("sanitize.of-a-chart", ExitClass::Manifest, what)
            .at(Some(rules.place.clone()))
            .help(format!(
                "remove {name} from the rules, and it is left out; or name it under `keep`"
            ))
    });
    match Failures::from_list(failures.chain(refused).collect()) {
        Some(failures) => Err(failures),
        None => Ok(()),
    }
}

/// A sanitised copy on its way.
struct Work<'a> {
    site: &'a Site<'a>,
    snapshot: &'a Snapshot,
    rules: &'a SanitizeRules,
    limits: &'a Limits<'a>,
    /// Names the copies that are changed.
    from: SnapshotId,
    /// Names the data that is made of them.
    to: SnapshotId,
    key: Key,
}

/// What rules have left of a snapshot.
struct Made {
    /// The volumes of the services that were changed.
    fresh: Vec<SnapshotVolume>,
    report: SanitizedData,
}

impl<'a> Work<'a> {
    fn new(
        site: &'a Site<'a>,
        snapshot: &'a Snapshot,
        rules: &'a SanitizeRules,
        limits: &'a Limits<'a>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            site,
            snapshot,
            rules,
            limits,
            from: new_id(format!("copy of {}", snapshot.id)),
            to: new_id(format!("sanitised {}", snapshot.id)),
            key: key(rules)?,
        })
    }

    /// Sanitises all that the rules are about. Their data lies then in the directory that `to` names.
    async fn make(&self, steps: &Steps<'_>) -> Result<Made, Failures> {
        steps
            .step("copy", async |progress| {
                self.limits.hold(self.copy(progress)).await
            })
            .await?;
        let (mut databases, mut fresh) = (Vec::new(), Vec::new());
        for (service, rules) in &self.rules.services {
            let (database, volumes) = self.service(steps, service, rules).await?;
            databases.push(database);
            fresh.extend(volumes);
        }
        let names = |names: Vec<ServiceName>| names.iter().map(ToString::to_string).collect();
        let report = SanitizedData {
            databases,
            kept: names(self.kept()),
            left_out: names(self.left_out()),
        };
        Ok(Made { fresh, report })
    }

    /// The services whose data is kept as it is.
    fn kept(&self) -> Vec<ServiceName> {
        let kept = self.rules.keep.iter();
        kept.map(|kept| kept.what.clone()).collect()
    }

    /// The services of the snapshot that no rule names.
    fn left_out(&self) -> Vec<ServiceName> {
        let kept = self.kept();
        let is_named =
            |name: &ServiceName| self.rules.services.contains_key(name) || kept.contains(name);
        let all = self.snapshot.services().into_iter();
        all.filter(|name| !is_named(name)).cloned().collect()
    }

    /// Copies what the rules are about to where it can be changed.
    async fn copy(&self, progress: &Progress) -> Result<(), Failure> {
        let agent = self.site.agent().await?;
        let volumes = volumes(&agent);
        let from = Store::Snapshots.of(&self.snapshot.id);
        let all: Vec<VolumeRef> = self
            .rules
            .services
            .keys()
            .flat_map(|service| {
                volumes_of(
                    &self.site.project.environment,
                    std::slice::from_ref(service),
                )
            })
            .collect();
        for id in [&self.from, &self.to] {
            self.site.make_room(&Store::Exchange.of(id), &all).await?;
        }
        let is_held = |of: &VolumeRef| self.snapshot.volumes.iter().any(|held| held.of == *of);
        let mut needed = 0;
        for of in all.iter().filter(|of| is_held(of)) {
            let measured = volumes.measure(&from.join(of.directory())).await;
            needed += measured.map_err(|error| error.failure())?.allocated;
        }
        // The copy, and as much again for what is made of it.
        self.site.room(2 * needed).await?;
        for of in &all {
            let place = of.directory();
            let copy = Store::Exchange.of(&self.from).join(&place);
            if is_held(of) {
                let copied = volumes
                    .copy(&from.join(&place), &copy, tell(progress, of))
                    .await;
                copied.map_err(|error| error.failure())?;
            } else {
                volumes.make(&copy).await.map_err(|error| error.failure())?;
            }
            let empty = Store::Exchange.of(&self.to).join(&place);
            volumes
                .make(&empty)
                .await
                .map_err(|error| error.failure())?;
        }
        Ok(())
    }

    /// Sanitises a database: what was done, and the volumes that hold it now.
    async fn service(
        &self,
        steps: &Steps<'_>,
        service: &ServiceName,
        rules: &DatabaseRules,
    ) -> Result<(SanitizedDatabase, Vec<SnapshotVolume>), Failures> {
        let login = Login { rules };
        let mut wrong = None;
        let changed = steps
            .step(&step("change", service), async |progress| {
                let work = Box::pin(self.change(service, &login, progress, &mut wrong));
                self.limits.hold(work).await
            })
            .await;
        // The first of several mistakes stands for the step; the user gets them all.
        let changed = changed.map_err(|failure| wrong.unwrap_or_else(|| failure.into()))?;
        let volumes = steps
            .step(&step("load", service), async |progress| {
                let work = Box::pin(self.load(service, &login, &changed, progress));
                self.limits.hold(work).await
            })
            .await?;
        Ok((changed.report, volumes))
    }

    async fn change<'w>(
        &'w self,
        service: &'w ServiceName,
        login: &Login<'_>,
        progress: &Progress,
        wrong: &mut Option<Failures>,
    ) -> Result<Changed<'w>, Failure> {
        progress.note("start it");
        let scratch = Scratch::start(self.site, service, &self.from, self.limits.left()).await?;
        progress.note("compare the rules with the database");
        let within = self.limits.left();
        find_database(login, &scratch).await?;
        let found = login.query(&scratch, catalogue::QUERY, within).await?;
        let found: Catalogue = serde_json::from_str(&found).map_err(|error| {
            refused(
                &format!("what the database says of its tables is not understood: {error}"),
                &[],
            )
        })?;
        let plans = matching::plan(login.rules, &found).map_err(|failures| {
            let first = failures.iter().next().cloned();
            *wrong = Some(failures);
            first.unwrap_or_else(|| refused("the rules do not fit", &[]))
        })?;
        progress.note("change the rows");
        let schema = format!("devenv_{}", self.from);
        let script = script::script(&plans, &found, &schema, &self.key);
        let done = run_script(login, &scratch, &script, &plans, within).await?;
        Ok(Changed {
            scratch,
            rows: script::rows(&plans),
            report: report(service, login.rules, &found, &plans, &done),
        })
    }

    /// Has what is left of a database take its place in one that has just made itself.
    async fn load(
        &self,
        service: &ServiceName,
        login: &Login<'_>,
        changed: &Changed<'_>,
        progress: &Progress,
    ) -> Result<Vec<SnapshotVolume>, Failure> {
        progress.note("start it");
        let fresh = Scratch::start(self.site, service, &self.to, self.limits.left()).await?;
        let within = (self.limits.left(), progress);
        transfer::transfer(&changed.scratch, &fresh, login, &changed.rows, within).await?;
        progress.note("stop both");
        fresh.stop().await?;
        self.hash(service, progress).await
    }

    async fn hash(
        &self,
        service: &ServiceName,
        progress: &Progress,
    ) -> Result<Vec<SnapshotVolume>, Failure> {
        let agent = self.site.agent().await?;
        let directory = Store::Exchange.of(&self.to);
        let mut written = Vec::new();
        for of in volumes_of(
            &self.site.project.environment,
            std::slice::from_ref(service),
        ) {
            let place = directory.join(of.directory());
            let measured = volumes(&agent).measure(&place).await;
            let measured = measured.map_err(|error| error.failure())?;
            written.push(Written {
                of,
                files: measured.files,
                bytes: measured.bytes,
                means: CopyMeans::Copied,
            });
        }
        save::hash(self.site, &directory, written, progress).await
    }

    /// Removes the data of ids, after all that works on it.
    async fn tidy(&self, ids: &[&SnapshotId], steps: &Steps<'_>) {
        let tidied = async {
            remove_pods(self.site).await?;
            for id in ids {
                self.site.remove(&Store::Exchange.of(id)).await?;
            }
            Ok::<(), Failure>(())
        };
        if let Err(left) = tidied.await {
            let text = format!(
                "something is left that the next command removes: {}",
                left.what
            );
            steps.notice(NoticeLevel::Warning, text).await;
        }
    }
}

/// A database whose rows are as the rules want them.
struct Changed<'a> {
    scratch: Scratch<'a>,
    /// The query that tells how many rows its tables have.
    rows: String,
    report: SanitizedDatabase,
}

/// Fails where a server does not have the database.
async fn find_database(login: &Login<'_>, scratch: &Scratch<'_>) -> Result<(), Failure> {
    let wanted = &login.rules.database;
    let within = std::time::Duration::from_mins(1);
    let known = login
        .query_any(scratch, catalogue::DATABASES, within)
        .await?;
    let known: Vec<String> = serde_json::from_str(&known).unwrap_or_default();
    if known.contains(&wanted.what) {
        return Ok(());
    }
    let what = format!("there is no database `{}`", wanted.what);
    let failure = matching::not_found(what, &wanted.what, &known, "databases");
    Err(failure.at(Some(wanted.place.clone())))
}

async fn run_script(
    login: &Login<'_>,
    scratch: &Scratch<'_>,
    script: &Script<'_>,
    plans: &[TablePlan<'_>],
    within: std::time::Duration,
) -> Result<Done, Failure> {
    let input = script.text.clone().into_bytes();
    let ran = match scratch.run(login.changes(), Some(input), within).await {
        Ok(ran) => ran,
        Err(NotRun::Failed(error)) => return Err(error.failure()),
        Err(NotRun::Late) => return Err(refused("it took too long", &[])),
    };
    if ran.code != 0 {
        let place = script
            .place_of_failure(&ran.out)
            .unwrap_or(&login.rules.place);
        let mut lines = ran.last_lines;
        lines.retain(|line| line != script::MARK);
        return Err(refused("the database refuses a change", &lines).at(Some(place.clone())));
    }
    let done = script.understand(&ran.out, plans);
    done.ok_or_else(|| refused("the database did not say what it did", &[]))
}

fn report(
    service: &ServiceName,
    rules: &DatabaseRules,
    catalogue: &Catalogue,
    plans: &[TablePlan<'_>],
    done: &Done,
) -> SanitizedDatabase {
    let tables = plans.iter().zip(&done.before).zip(&done.after);
    let tables = tables.map(|((plan, before), after)| {
        let values = after.iter().skip(1);
        let columns = plan
            .columns
            .iter()
            .zip(values)
            .map(|(column, values)| SanitizedColumn {
                column: column.column.name.clone(),
                change: column.change.to_string(),
                follows: column.from.clone(),
                values: *values,
            });
        let is_changed = |name: &str| plan.columns.iter().any(|it| it.column.name == name);
        let others = plan.table.columns.iter().map(|column| &column.name);
        SanitizedTable {
            table: plan.table.short_name(),
            rows_before: *before,
            rows: after.first().copied().unwrap_or_default(),
            columns: columns.collect(),
            unchanged: others.filter(|name| !is_changed(name)).cloned().collect(),
        }
    });
    SanitizedDatabase {
        service: service.to_string(),
        database: rules.database.what.clone(),
        tables: tables.collect(),
        left_out: catalogue.others.clone(),
        large_objects_left_out: catalogue.has_large_objects,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{
        DatabaseRules, Located, Place, Source,
        testing::{environment, name, snapshot},
    };

    fn rules(service: &str) -> SanitizeRules {
        let place = Place {
            file: "rules.yaml".into(),
            line: 3,
            column: 1,
            length: 1,
            source_line: String::new(),
        };
        let database = DatabaseRules {
            place: place.clone(),
            database: Located {
                what: "shop".to_owned(),
                place,
            },
            user: None,
            tables: Vec::new(),
        };
        SanitizeRules {
            services: BTreeMap::from([(name(service), database)]),
            keep: Vec::new(),
            seed: None,
        }
    }

    fn refused(service: &str, environment: &Environment) -> Vec<&'static str> {
        let checked = check(&rules(service), &snapshot("monday"), environment);
        let failures = checked.err().into_iter().flat_map(|failures| {
            failures
                .iter()
                .map(|failure| failure.code.0)
                .collect::<Vec<_>>()
        });
        failures.collect()
    }

    #[test]
    fn data_is_changed_of_services_that_have_some_and_whose_pods_are_not_a_charts() {
        let mut environment = environment(&[("postgres", &[])]);
        assert_eq!(refused("postgres", &environment), Vec::<&str>::new());
        assert_eq!(refused("redis", &environment), ["sanitize.no-data"]);
        let service = environment.services.get_mut(&name("postgres")).unwrap();
        service.source = Source::Manifests(Vec::new());
        assert_eq!(refused("postgres", &environment), ["sanitize.of-a-chart"]);
    }
}
