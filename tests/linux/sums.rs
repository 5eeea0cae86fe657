// SPDX-License-Identifier: BSD-2-Clause

// Four threads that add numbers up, count under a mutex and atomically, and send down a channel. Status 0 when every sum is right.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

const THREADS: u64 = 4;
const STEPS: u64 = 200_000;
const REPORT: u64 = 1000;

fn main() {
    let counted = Arc::new(Mutex::new(0u64));
    let added = Arc::new(AtomicU64::new(0));
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (1..=THREADS)
        .map(|factor| {
            let (counted, added, sender) = (Arc::clone(&counted), Arc::clone(&added), sender.clone());
            thread::spawn(move || {
                let mut sum = 0u64;
                for i in 0..STEPS {
                    sum += i * factor;
                    if i % REPORT == 0 {
                        *counted.lock().unwrap() += 1;
                        added.fetch_add(i, Ordering::Relaxed);
                        sender.send(i).unwrap();
                    }
                }
                sum
            })
        })
        .collect();
    drop(sender);
    let received: u64 = receiver.iter().sum();
    let total: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let each = STEPS * (STEPS - 1) / 2;
    let reports = STEPS / REPORT;
    let sent = THREADS * REPORT * reports * (reports - 1) / 2;
    assert_eq!(total, each * THREADS * (THREADS + 1) / 2);
    assert_eq!(*counted.lock().unwrap(), THREADS * reports);
    assert_eq!(added.load(Ordering::Relaxed), sent);
    assert_eq!(received, sent);
    println!("sums right");
}
