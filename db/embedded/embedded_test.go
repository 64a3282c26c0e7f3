package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestColdThenWarmStartKeepsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "made", "by", "start")
	var log records
	c := start(t, Options{Dir: dir, Log: log.logger()})
	if !strings.Contains(log.String(), "creating the database cluster…") {
		t.Errorf("no progress in the log:\n%s", &log)
	}
	keep(t, c)
	stop(t, c)
	if c.Pid() != 0 {
		t.Errorf("pid %d after Stop", c.Pid())
	}
	if err := c.Stop(limit(t)); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	log = records{}
	again := start(t, Options{Dir: dir, Log: log.logger()})
	kept(t, again)
	if strings.Contains(log.String(), "creating") {
		t.Errorf("the warm start made a cluster:\n%s", &log)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	common := map[string]string{
		"data_checksums": "on", "TimeZone": "UTC", "lc_collate": "C", "lc_ctype": "C.UTF-8", "server_encoding": "UTF8", "listen_addresses": "",
		"unix_socket_permissions": "0700", "client_connection_check_interval": "1s",
	}
	cases := []struct {
		name      string
		throwaway bool
		want      map[string]string
	}{
		{"durable", false, map[string]string{"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
			"autovacuum": "on", "max_connections": "60"}},
		{"throwaway", true, map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"autovacuum": "off", "max_connections": "60", "wal_level": "minimal", "max_wal_senders": "0"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			c := start(t, Options{Dir: dir, Throwaway: tc.throwaway})
			// what somebody wrote into the cluster's own files must not count
			db := open(t, c)
			for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
				if !tc.throwaway {
					exec1(t, db, "ALTER SYSTEM SET "+name+" = off")
				}
			}
			stop(t, c)
			db = open(t, start(t, Options{Dir: dir, Throwaway: tc.throwaway}))
			for _, want := range []map[string]string{common, tc.want} {
				got := map[string]string{}
				for name := range want {
					got[name] = text(t, db, "SHOW "+name)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("settings (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// A locale that the system lacks is known from other trouble, and the folder can be used with the next one.
func TestUnknownLocale(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Dir: folder(t), Throwaway: true})
	dir := filepath.Join(c.home, "another")
	if err := errors.Join(os.Mkdir(dir, 0o700), c.give(dir)); err != nil {
		t.Fatal(err)
	}
	if err := c.runInitdb(limit(t), dir, "of_nowhere.UTF-8"); !errors.Is(err, errNoLocale) {
		t.Errorf("an unknown locale is answered by %v", err)
	}
	if err := c.runInitdb(limit(t), dir, ctypes[len(ctypes)-1]); err != nil {
		t.Error(err)
	}
	if err := c.runInitdb(limit(t), dir, "C"); err == nil || errors.Is(err, errNoLocale) {
		t.Errorf("a folder that is not empty is answered by %v", err)
	}
}

func TestThrowawayAndDataDoNotMix(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	stop(t, start(t, Options{Dir: dir, Throwaway: true}))
	if c, err := Start(limit(t), Options{Dir: dir}); err == nil {
		stop(t, c)
		t.Error("a cluster made for tests was taken for data")
	}
	start(t, Options{Dir: dir, Throwaway: true}) // the refusal let go of the folder
}

func TestSecondServiceIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, Options{Dir: dir, Throwaway: true})
	_, err := Start(limit(t), Options{Dir: dir, Throwaway: true})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("the second start says %v", err)
	}
	for _, want := range []string{dir, "process " + strconv.Itoa(os.Getpid()) + " "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if text(t, open(t, first), "SELECT 'well'") != "well" {
		t.Error("the first suffered")
	}
	stop(t, first)
	start(t, Options{Dir: dir, Throwaway: true})
}

func TestStopAtOnceLosesNothing(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, Options{Dir: dir})
	keep(t, c)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Stop(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop says %v", err)
	}
	c.stopErr = nil // for the cleanup
	kept(t, start(t, Options{Dir: dir}))
}

// A child that is being made holds, until its exec, all that is open here.
func TestStopGivesTheFolderFreeDespiteAChildBeingMade(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, Options{Dir: dir, Throwaway: true})
	held, err := syscall.Dup(int(c.lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(held) })
	stop(t, c)
	start(t, Options{Dir: dir, Throwaway: true})
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if c, err := Start(over, Options{Dir: dir, Throwaway: true}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Start says %v, %v", c, err)
	}
	start(t, Options{Dir: dir, Throwaway: true})
}

func TestPasswordFileGoneIsSaidSo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, Options{Dir: dir})
	stop(t, c)
	path := filepath.Join(c.home, passwordFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(limit(t), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Start says %v", err)
	}
}

// TestCrashesDuringCreation begins where a crash before, in and after initdb leaves off.
func TestCrashesDuringCreation(t *testing.T) {
	t.Parallel()
	found, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	unfinished := filepath.Join(dir, "pg", fmt.Sprint(found[0].Major)+".new")
	writeFiles(t, map[string]string{
		filepath.Join(dir, "pg", passwordFile):          "from-before-the-crash\n",
		filepath.Join(dir, "pg", passwordFile+".new"):   "torn",
		filepath.Join(unfinished, "PG_VERSION"):         fmt.Sprintln(found[0].Major),
		filepath.Join(unfinished, "base", "1", "half"):  "a",
		filepath.Join(dir, "pg", "unrelated", "README"): "not a cluster",
	})
	c := start(t, Options{Dir: dir})
	if c.password != "from-before-the-crash" {
		t.Error("the password changed")
	}
	keep(t, c)
	kept(t, c)
	if _, err := os.Stat(unfinished); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", unfinished, err)
	}
}
