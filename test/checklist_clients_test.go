package test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/test/rig"
)

// These rows of the checklist are about what real clients ask for and write
// into their lockfiles. The scripts that hold them, in scripts/checklist, are
// called after the rows, as the tests are.

func TestChecklist01_EveryTarballComesThroughLarder(t *testing.T) {
	runRow(t, "01-install", installers()...)
}

func TestChecklist11_NpmCIWithAPublicLockfile(t *testing.T) {
	runRow(t, "11-npm-ci", family("npm")...)
}

func TestChecklist12_PnpmFrozenAsksForTarballsAlone(t *testing.T) {
	runRow(t, "12-pnpm-frozen", family("pnpm")...)
}

func TestChecklist12_StockPnpm12AsksHowOldVersionsAre(t *testing.T) {
	runRow(t, "12-pnpm-12-stock", "pnpm-12")
}

func TestChecklist13_BunFrozenAsksForTarballsAlone(t *testing.T) {
	runRow(t, "13-bun-frozen", family("bun")...)
}

func TestChecklist14_Yarn4WritesNoArchiveURL(t *testing.T) {
	runRow(t, "14-yarn-4-lockfile", "yarn-4")
}

func TestChecklist15_Yarn1ResolvesToLarderWithSHA1(t *testing.T) {
	runRow(t, "15-yarn-1-lockfile", "yarn-1")
}

// runRow runs a script of scripts/checklist with each of the clients, at the
// root of Larder's host and under a prefix: in the short form by turns, where
// there are several clients.
func runRow(t *testing.T, script string, clients ...string) {
	skipIfShort(t)
	t.Parallel()
	for i, client := range clients {
		for j, prefix := range []string{"/", "/npm/"} {
			if !rig.Long && len(clients) > 1 && i%2 != j {
				continue
			}
			t.Run(client+"/"+place(prefix), func(t *testing.T) {
				t.Parallel()
				runScripts(t, client, prefix, testscript.Params{Files: []string{"scripts/checklist/" + script + ".txtar"}})
			})
		}
	}
}
