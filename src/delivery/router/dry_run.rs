//! Says what would be done, and does nothing.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::plan::Planner;
use super::{Mail, Outcome, places};
use crate::delivery::finder::Taken;
use crate::delivery::folder::Folder;
use crate::delivery::journal::Journal;
use crate::delivery::rules::Rules;
use crate::delivery::tree::Tree;

/// Says what would be done, without a journal where there is none yet.
pub struct DryRun {
    rules: Rules,
    sets: Vec<String>,
    places: HashMap<Folder, PathBuf>,
    root: PathBuf,
    journal: Option<Journal>,
    taken: Taken,
}

impl DryRun {
    /// Puts together what planning needs.
    ///
    /// # Errors
    /// When the tree cannot hold a folder of the rules; the message names the rule.
    pub fn new(journal: Option<Journal>, tree: &Tree, rules: Rules, sets: Vec<String>) -> Result<Self> {
        let places = places(&rules, tree)?;
        Ok(Self { rules, sets, places, root: tree.root().to_path_buf(), journal, taken: Taken::default() })
    }

    /// What would come of a mail.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn plan(&mut self, mail: &Mail) -> Result<Outcome> {
        let root: &Path = &self.root;
        let (rules, sets, places) = (&self.rules, &self.sets, &self.places);
        let (journal, open) = (self.journal.as_ref(), &HashSet::new());
        let mut planner = Planner { rules, sets, places, root, journal, taken: &mut self.taken, open };
        planner.plan(mail).map(|planned| planned.outcome)
    }
}
