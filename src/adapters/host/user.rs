//! Who runs devenv.

use nix::unistd::{Uid, User};

/// The user that a process acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The number that the kernel knows.
    pub uid: u32,
    /// The name that the system's user database has for it, if any.
    pub name: Option<String>,
}

/// The user that this process acts for. What variables such as `USER` say is not believed.
pub fn account() -> Account {
    let uid = Uid::current();
    let user = User::from_uid(uid).ok().flatten();
    Account {
        uid: uid.as_raw(),
        name: user.map(|user| user.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_that_of_this_process() {
        assert_eq!(account().uid, rustix::process::getuid().as_raw());
    }
}
