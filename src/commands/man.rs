//! `devenv man`

use std::{io, path::PathBuf};

use super::{Context, Exit};
use crate::{
    adapters::files,
    domain::{ExitClass, Failure, Failures},
    report::{Manual, ManualPage, Report},
};

/// Print a page of the manual, or write all of them to where `man` finds them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv man | man -l -
  devenv man snapshot save | man -l -
  devenv man --out ~/.local/share/man/man1   # then: man devenv-up")]
pub struct Args {
    /// The command; devenv itself if left out
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,

    /// Write the pages of all commands to this directory
    #[arg(long, value_name = "DIRECTORY", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let mut program = (context.command_line)();
    program.build();
    let manual = match args.out {
        None => {
            let named = named(&program, &args.command)?;
            Manual {
                pages: vec![page(named)?],
                directory: None,
            }
        }
        Some(directory) => {
            let mut pages = Vec::new();
            every(&program, &mut pages)?;
            let directory = context.directory.join(directory);
            let failed = |error: files::FileError| error.failure();
            files::create_dir(&directory).map_err(failed)?;
            for page in &pages {
                let path = directory.join(&page.name);
                files::write_shared(&path, page.text.as_bytes()).map_err(failed)?;
            }
            Manual {
                pages,
                directory: Some(directory.display().to_string()),
            }
        }
    };
    context.outbox.report(Report::Man(manual)).await;
    Ok(Exit::Success)
}

/// The command that words lead to.
fn named<'c>(program: &'c clap::Command, words: &[String]) -> Result<&'c clap::Command, Failure> {
    let mut command = program;
    for word in words {
        let found = command.find_subcommand(word);
        command = found.ok_or_else(|| {
            let what = format!("`{}` is no command", words.join(" "));
            Failure::new("usage.no-page", ExitClass::Usage, what)
                .because("there is a page for every command, and for nothing else")
                .help("devenv --help   # all commands")
        })?;
    }
    Ok(command)
}

/// The pages of a command and of all below it.
fn every(command: &clap::Command, pages: &mut Vec<ManualPage>) -> Result<(), Failure> {
    pages.push(page(command)?);
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
    for below in shown.filter(|it| it.get_name() != "help") {
        every(below, pages)?;
    }
    Ok(())
}

/// The page of a command that is built: its name is `devenv-snapshot-save` then.
fn page(command: &clap::Command) -> Result<ManualPage, Failure> {
    let name = command.get_display_name();
    let name = name.unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(command.clone().name(name.clone()));
    let rendered = man.render(&mut text);
    let text = rendered.and_then(|()| String::from_utf8(text).map_err(io::Error::other));
    let text = text.map_err(|error| {
        let what = format!("the page of {name} cannot be written");
        Failure::new("internal.manual", ExitClass::Internal, what).caused_by(&error)
    })?;
    // What stands behind the help are examples, if anything does.
    let text = text.replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n");
    let text = text.replace(".SH EXTRA\n.SH", ".SH");
    Ok(ManualPage {
        name: format!("{name}.1"),
        text,
    })
}
