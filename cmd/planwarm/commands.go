package main

import "github.com/spf13/cobra"

// commands lists the subcommands; each is in a file of its own.
func commands(c *cli) []*cobra.Command {
	return append([]*cobra.Command{
		newRunCmd(c),
		newStatusCmd(c),
		newWarmCmd(c),
		newRecomputeCmd(c),
		newDemoCmd(c),
		newInternalRouterCmd(c),
		newBuildCmd(c),
		newPlanCmd(c),
		newDoctorCmd(c),
		newVersionCmd(c),
	}, bucketCommands(c)...)
}
