//! The simulated cloud. Knows nothing of Kubernetes, nor of `lifecycle` and `zenlayer`: it shares
//! no code with the client that it tests.
