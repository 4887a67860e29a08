package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/policy"
)

// policyCommand answers questions about who may do what.
func policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Who may do what, and why"}
	var file, path string
	cmd.PersistentFlags().StringVar(&file, "config", "", "configuration file, for the policy file that it names")
	cmd.PersistentFlags().StringVar(&path, "policy-file", "", "policy.yaml with rules in the place of the built-in ones")
	rules := func() (*policy.Enforcer, error) {
		if path == "" && file != "" {
			cfg, err := config.Load(file, true)
			if err != nil {
				return nil, err
			}
			path = cfg.PolicyFile
		}
		if path == "" {
			return policy.New(nil)
		}
		return policy.Load(path)
	}
	cmd.AddCommand(explainCommand(rules), rulesCommand(rules))
	return cmd
}

// explainCommand tells how a rule is decided for a caller and an object, and with it
// the rules of the attributes that a request names.
func explainCommand(rules func() (*policy.Enforcer, error)) *cobra.Command {
	var caller weft.Caller
	cmd := &cobra.Command{
		Use:   "explain RULE [ATTRIBUTE=VALUE ...]",
		Short: "Say how a rule is decided for a caller, and why",
		Long: `Say how a rule is decided for a caller and an object that has the given attributes.
For a rule like create_port the rules of the attributes, like create_port:binding:host_id,
are decided as well, as they are for a request that names them.`,
		Example: `  weft policy explain create_port --role member --project p1 network:tenant_id=p2 project_id=p1 device_owner=network:dhcp`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := rules()
			if err != nil {
				return err
			}
			target, names, err := attributes(args[1:])
			if err != nil {
				return err
			}
			return explain(cmd.OutOrStdout(), e, args[0], &caller, target, names)
		},
	}
	cmd.Flags().StringSliceVar(&caller.Roles, "role", []string{"member", "reader"}, "roles of the caller")
	cmd.Flags().StringVar(&caller.ProjectID, "project", "", "project of the caller")
	cmd.Flags().StringVar(&caller.UserID, "user", "", "id of the caller")
	cmd.Flags().StringVar(&caller.DomainID, "domain", "", "domain of a domain-scoped token")
	cmd.Flags().BoolVar(&caller.System, "system", false, "a system-scoped token")
	return cmd
}

// attributes reads ATTRIBUTE=VALUE.
func attributes(args []string) (map[string]any, []string, error) {
	target := map[string]any{}
	var names []string
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return nil, nil, fmt.Errorf("%q is not ATTRIBUTE=VALUE", a)
		}
		switch strings.ToLower(value) {
		case "true", "false":
			target[name] = strings.EqualFold(value, "true")
		default:
			target[name] = value
		}
		names = append(names, name)
	}
	return target, names, nil
}

func explain(out io.Writer, e *policy.Enforcer, rule string, c *weft.Caller, target map[string]any, names []string) error {
	asked := []string{rule}
	if action, resource, ok := strings.Cut(rule, "_"); ok && !strings.Contains(rule, ":") {
		for _, name := range names {
			if r, ok := e.AttributeRule(action, resource, name); ok {
				asked = append(asked, r)
			}
		}
	}
	get := func(name string) any { return target[name] }
	decision := "allowed"
	for _, r := range asked {
		x := e.Explain(r, c, get)
		fmt.Fprint(out, x)
		if !x.Allowed && decision == "allowed" {
			decision = "denied by " + r
		}
	}
	_, err := fmt.Fprintln(out, decision)
	return err
}

// rulesCommand lists the rules that are in force.
func rulesCommand(rules func() (*policy.Enforcer, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List the rules in force, in the form of a policy.yaml",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := rules()
			if err != nil {
				return err
			}
			for name, text := range e.Rules() {
				if len(args) == 0 || strings.HasPrefix(name, args[0]) {
					fmt.Fprintf(cmd.OutOrStdout(), "%q: %q\n", name, text)
				}
			}
			return nil
		},
	}
}
