//! What the kernel of this machine can do.

use std::path::Path;

use crate::adapters::files;

/// Whether the kernel has a file system, or can load it; `None` if that cannot be told.
pub fn knows_file_system(name: &str) -> Option<bool> {
    let present = files::read_text(Path::new("/proc/filesystems")).ok()?;
    if lists(&present, name) {
        return Some(true);
    }
    let release = files::read_text(Path::new("/proc/sys/kernel/osrelease")).ok()?;
    let modules = Path::new("/lib/modules").join(release.trim());
    // Of a kernel whose modules are elsewhere, as in a container, nothing can be said.
    let loadable = files::read_text(&modules.join("modules.dep")).ok()?;
    Some(is_module(&loadable, name))
}

/// Whether a table of `/proc/filesystems` has a file system.
fn lists(table: &str, name: &str) -> bool {
    let mut names = table.lines().filter_map(|line| line.split('\t').nth(1));
    names.any(|listed| listed == name)
}

/// Whether a table of modules has one.
fn is_module(table: &str, name: &str) -> bool {
    let file = format!("/{name}.ko");
    let mut modules = table.lines().filter_map(|line| line.split(':').next());
    modules.any(|module| {
        let end = module.find(&file).map(|at| &module[at + file.len()..]);
        end.is_some_and(|end| end.is_empty() || end.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_by_their_whole_names() {
        let table = "nodev\tproc\n\text4\nnodev\toverlay\n";
        assert!(lists(table, "overlay") && lists(table, "ext4"));
        assert!(!lists(table, "xfs") && !lists(table, "ext"));
        let modules =
            "kernel/fs/xfs/xfs.ko.zst: kernel/lib/crc.ko\nkernel/fs/overlayfs/overlay.ko:\n";
        assert!(is_module(modules, "xfs") && is_module(modules, "overlay"));
        assert!(!is_module(modules, "fs") && !is_module(modules, "crc"));
    }

    #[test]
    fn a_file_system_that_every_kernel_has_is_known() {
        assert_eq!(knows_file_system("proc"), Some(true));
        assert_ne!(knows_file_system("no-such-file-system"), Some(true));
    }
}
