//! The developer's own proxies stay outside: whatever talks to a server on this machine is not told of
//! them. What fetches something (`hack/*.sh`) keeps them.

use std::process::Command;

/// What programs read. Most read either spelling.
const VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Takes the proxies of this process's environment from the program, not those that the test gives it.
pub fn keep_out(command: &mut Command) {
    let given = |name: &str| command.get_envs().any(|(given, _)| given == name);
    let taken: Vec<_> = VARIABLES.into_iter().filter(|name| !given(name)).collect();
    for name in taken {
        command.env_remove(name);
    }
}

/// A client of servers on this machine. It belongs to the runtime that calls.
pub fn http_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client can be made")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_the_proxies_of_its_test_and_no_other() {
        let mut command = Command::new("true");
        command.env("HTTPS_PROXY", "http://of.the.test").env("KUBECONFIG", "file");
        keep_out(&mut command);
        let mut seen: Vec<(String, bool)> = command
            .get_envs()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.is_some()))
            .collect();
        seen.sort();
        let mut expected: Vec<(String, bool)> =
            VARIABLES.map(|name| (name.to_owned(), name == "HTTPS_PROXY")).to_vec();
        expected.push(("KUBECONFIG".to_owned(), true));
        expected.sort();
        assert_eq!(seen, expected);
    }
}
